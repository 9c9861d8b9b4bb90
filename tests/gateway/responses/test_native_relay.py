"""A server that knows the Responses API: what passes is untouched, and kept on the way."""

from __future__ import annotations

import json
from uuid import uuid4

import msgspec
import pytest

from gateway.state.values import Copy
from gateway.translation.responses import Final
from gateway.views.keeping import Keeping
from tests.gateway.responses.making import (
    RESPONSES,
    SELECTOR,
    create,
    events_of,
    native_response,
    native_stream,
    next_event,
    show,
)
from tests.mounted import MODEL, error_of, request
from tests.recorded import load
from tests.scripting import answer as vllm_answer

STREAMS = ("full_resp_stream", "tools_responses_required_stream", "full_resp_tools_required_stream")
PLAIN = ("full_resp_plain", "tools_responses_required", "tools_responses_function_call_output")


def asked_again(name: str) -> bytes:
    """The recorded request, in the name of the gateway's model."""
    members = json.loads(load(name).request_body)
    return json.dumps({**members, "model": SELECTOR}, separators=(",", ":")).encode()


@pytest.mark.parametrize("name", STREAMS)
def test_a_native_stream_passes_chunk_for_chunk_and_is_kept(native, vllm, name):
    recording, body = load(name), asked_again(name)
    vllm.will_replay(recording)

    answer = native.call("POST", RESPONSES, body)

    assert tuple(answer.chunks) == recording.reads
    assert vllm.received[0].body == body.replace(SELECTOR.encode(), MODEL.encode())
    final = events_of(recording.body)[-1]["response"]
    assert show(native, final["id"]).json == final


@pytest.mark.parametrize("name", PLAIN)
def test_a_native_answer_passes_byte_for_byte_and_is_kept(native, vllm, name):
    recording, body = load(name), asked_again(name)
    vllm.will_replay(recording)

    answer = native.call("POST", RESPONSES, body)

    assert answer.body == recording.body
    assert vllm.received[0].body == body.replace(SELECTOR.encode(), MODEL.encode())
    kept = show(native, recording.json["id"])
    assert kept.body == recording.body
    assert kept.headers["content-type"] == "application/json"


def test_the_copy_is_there_before_the_last_chunk_is(native, vllm):
    """Whoever has read its final event goes on at once, perhaps before the stream has ended."""
    stream = native_stream("Hi")
    vllm.will_stall(after_chunks=stream)
    client = native.connect()
    client.send(request("POST", RESPONSES, msgspec.json.encode(create(stream=True))))
    client.read_head()
    next_event(client, "response.completed")

    assert show(native, "resp_of_vllm").json["status"] == "completed"
    client.close()


@pytest.mark.parametrize("size", [7, 100, 5000])
def test_pieces_pass_wherever_a_server_cuts_its_events(native, vllm, size):
    whole = b"".join(native_stream("a", "b"))
    pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
    vllm.will_stream(*pieces, pause_seconds=0.002)

    answer = native.post(RESPONSES, create(stream=True))

    assert answer.chunks == pieces
    assert show(native, "resp_of_vllm").json["status"] == "completed"


def test_what_asks_for_no_state_is_left_as_it_is(native, vllm):
    body = (
        b'{ "store":true,"model": "%b", "input" : [{"role":"user", "content":"a\\u00e9"}],'
        b' "previous_response_id": null, "conversation": null, "background": false, "x":1e2}'
    )
    native.call("POST", RESPONSES, body % SELECTOR.encode())

    members = msgspec.json.decode(vllm.received[0].body, type=dict[str, msgspec.Raw])
    asked = msgspec.json.decode(body % MODEL.encode(), type=dict[str, msgspec.Raw])
    assert [(name, bytes(raw)) for name, raw in members.items()] == [
        (name, bytes(raw)) for name, raw in asked.items()
    ]


def test_a_plain_answer_in_pieces_passes_and_is_kept(native, vllm):
    body = msgspec.json.encode(native_response("completed", "a" * 300_000))
    length = ("content-length", str(len(body)))
    head = vllm_answer(200, [("content-type", "application/json"), length])
    vllm.will_send(head + body[:100_000], body[100_000:-3], body[-3:], pause_seconds=0.01)

    assert native.post(RESPONSES, create()).body == body
    assert show(native, "resp_of_vllm").body == body


def test_a_plain_answer_is_kept_before_its_last_piece_is_out(native):
    """Its length tells the client that nothing follows: it may go on at once."""

    async def kept_by_then() -> bool:
        def copy_of(said: Final) -> Copy:
            return Copy(uuid4(), said.id, said.body, said.status)

        keeping = Keeping(native.store, copy_of)
        keeping.begin(streamed=False)
        body = msgspec.json.encode(native_response("completed", "Hi"))
        keeping.feed(body[:-10])
        keeping.feed(body[-10:])
        keeping.settle()
        return bool(native.store._backlog.waiting)

    assert native.on_loop(kept_by_then())


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_in_which_no_response_can_be_read_is_relayed_and_counted(native, vllm, stream):
    if stream:
        vllm.will_stream(native_stream("a")[0])
    else:
        vllm.will_answer(200, [("content-type", "application/json")], b'{"id":1}')

    assert native.post(RESPONSES, create(stream=stream)).status == 200
    assert native.store.lost == 1


@pytest.mark.parametrize("stream", [True, False])
def test_what_is_not_to_be_stored_is_not(native, vllm, stream):
    answer = native.post(RESPONSES, create(store=False, stream=stream))

    said = events_of(answer.body)[-1]["response"] if stream else answer.json
    missing = show(native, said["id"])
    assert (missing.status, error_of(missing)["code"]) == (404, "response_not_found")


@pytest.mark.parametrize("stream", [True, False])
def test_a_call_that_is_refused_leaves_nothing(native, vllm, stream):
    vllm.will_answer_json(
        400, {"error": {"message": "no", "type": "BadRequestError", "param": None, "code": 400}}
    )

    answer = native.post(RESPONSES, create(stream=stream))

    assert (answer.status, answer.json["error"]["message"]) == (400, "no")
    assert native.store.lost == 0
    assert not native.store._backlog.waiting


def test_a_failed_response_is_relayed_and_not_kept(native, vllm):
    vllm.will_answer_json(200, native_response("failed"))

    assert native.post(RESPONSES, create()).json["status"] == "failed"
    assert show(native, "resp_of_vllm").status == 404


def test_deleted_is_gone(native):
    id = native.post(RESPONSES, create()).json["id"]

    deleted = native.call("DELETE", f"{RESPONSES}/{id}")

    assert deleted.json == {"id": id, "object": "response", "deleted": True}
    assert show(native, id).status == 404
    assert native.call("DELETE", f"{RESPONSES}/{id}").status == 404


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("stream=true", "stream"),
        ("stream=perhaps", "stream"),
        ("starting_after=3", "starting_after"),
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=true&starting_after=x", "starting_after"),
    ],
)
def test_a_stream_of_what_was_no_background_response_is_refused(native, query, param):
    """vLLM answers 200 there, and then drops the connection."""
    id = native.post(RESPONSES, create()).json["id"]

    refused = native.call("GET", f"{RESPONSES}/{id}?{query}")

    assert (refused.status, error_of(refused)["param"]) == (400, param)


def test_what_was_no_background_response_cannot_be_cancelled(native):
    id = native.post(RESPONSES, create()).json["id"]

    refused = native.call("POST", f"{RESPONSES}/{id}/cancel")

    assert (refused.status, error_of(refused)["message"]) == (
        400,
        "Cannot cancel a synchronous response.",
    )
    assert native.call("POST", f"{RESPONSES}/resp_unknown/cancel").status == 404


@pytest.mark.parametrize(("cut", "number"), [(5, 5), (1, 1)])
def test_a_stream_that_breaks_off_ends_with_an_error_event_of_the_next_number(
    native, vllm, cut, number
):
    vllm.will_cut_after(*native_stream("a", "b", "c")[:cut])

    answer = native.post(RESPONSES, create(stream=True, store=False))

    last = events_of(answer.body)[-1]
    assert last["type"] == "error"
    assert (last["sequence_number"], last["code"]) == (number, "upstream_broke")
    assert set(last) == {"type", "sequence_number", "code", "message", "param"}
    assert answer.body.split(b"\n\n")[-2].startswith(b"event: error\n")
