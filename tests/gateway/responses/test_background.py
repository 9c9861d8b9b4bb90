"""Responses that are generated in the background: asked for, fetched later, cancelled, failed."""

from __future__ import annotations

import pytest

from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    NATIVE,
    OTHER_KEY,
    RESPONSES,
    TRANSLATED,
    create,
    events_of,
    native_event,
    native_response,
    native_stream,
    numbers,
    sent_texts,
    show,
    status_of,
    streamed_by,
    wait_for_status,
    will_say,
)
from tests.mounted import MASTER_KEY, MODEL, error_of, request
from tests.processes import eventually

UPSTREAM = {NATIVE: RESPONSES, TRANSLATED: "/v1/chat/completions"}


def test_the_answer_comes_at_once_and_the_response_later(stateful, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi", "!"), pause_seconds=0.02)

    queued = stateful.post(RESPONSES, create(background=True, metadata={"a": "b"}))

    assert queued.status == 200
    said = queued.json
    assert (said["status"], said["background"], said["output"]) == ("queued", True, [])
    assert said["metadata"] == {"a": "b"}
    done = wait_for_status(stateful, said["id"], "completed")
    assert (done["id"], done["background"]) == (said["id"], True)
    assert done["output"][0]["content"][0]["text"] == "Hi!"
    sent = vllm.received[0]
    assert (sent.path, sent.json["stream"], sent.json["model"]) == (UPSTREAM[way], True, MODEL)
    assert not sent.json.keys() & {"background", "previous_response_id", "conversation"}


def test_its_input_and_output_can_be_continued(stateful, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi!"))
    first = stateful.post(RESPONSES, create("Hello", background=True)).json["id"]
    wait_for_status(stateful, first, "completed")
    will_say(vllm, way, "Fine.", "resp_2")

    stateful.post(RESPONSES, create("And?", previous_response_id=first))

    assert [text for _, text in sent_texts(vllm, way)] == ["Hello", "Hi!", "And?"]


def test_a_background_response_continues_another_and_a_conversation_grows(stateful, vllm, way):
    conversation = stateful.post("/v1/conversations", {}).json["id"]
    for text in ("Hello", "And?"):
        vllm.will_stream(*streamed_by(way, f"Re: {text}"))
        asked = create(text, background=True, conversation=conversation)
        id = stateful.post(RESPONSES, asked).json["id"]
        done = wait_for_status(stateful, id, "completed")
        assert done["conversation"] == {"id": conversation}

    assert [text for _, text in sent_texts(vllm, way)] == ["Hello", "Re: Hello", "And?"]


def test_its_stream_is_that_of_the_server_under_its_own_id(stateful, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi", "!"), pause_seconds=0.02)

    answer = stateful.post(RESPONSES, create(background=True, stream=True))

    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    told = events_of(answer.body)
    assert numbers(answer.body) == list(range(len(told)))
    assert (told[0]["type"], told[-1]["type"]) == ("response.created", "response.completed")
    ids = {event["response"]["id"] for event in told if "response" in event}
    assert len(ids) == 1
    assert show(stateful, ids.pop()).json == told[-1]["response"]
    assert [event["delta"] for event in told if "text.delta" in event["type"]] == ["Hi", "!"]


def test_whoever_has_read_the_last_event_finds_the_response_finished(stateful, vllm, way):
    for _ in range(5):
        vllm.will_stream(*streamed_by(way, "Hi!"))
        answer = stateful.post(RESPONSES, create(background=True, stream=True))
        id = events_of(answer.body)[-1]["response"]["id"]
        assert status_of(stateful, id) == "completed"


def test_cancelling_closes_the_server_at_once(stateful, vllm, way):
    vllm.will_stall(after_chunks=streamed_by(way, "Hi", "!")[:3])
    id = stateful.post(RESPONSES, create(background=True)).json["id"]
    vllm.wait_until_received()

    cancelled = stateful.call("POST", f"{RESPONSES}/{id}/cancel")

    assert (cancelled.status, cancelled.json["status"]) == (200, "cancelled")
    vllm.wait_until_left()
    again = stateful.call("POST", f"{RESPONSES}/{id}/cancel")
    assert (again.status, again.body) == (200, cancelled.body)
    assert eventually(lambda: stateful.runs)[0]["reason"] == "cancelled"


def test_the_stream_of_what_is_cancelled_ends(native, vllm):
    """vLLM leaves it open for ever."""
    vllm.will_stall(after_chunks=native_stream("Hi")[:3])
    id = native.post(RESPONSES, create(background=True)).json["id"]
    wait_for_status(native, id, "in_progress")
    client = native.connect()
    client.send(request("GET", f"{RESPONSES}/{id}?stream=true"))
    client.read_head()
    client.read_chunk()
    native.call("POST", f"{RESPONSES}/{id}/cancel")

    assert b"" in iter(client.read_chunk, None)


def test_what_is_finished_is_not_cancelled(stateful, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi!"))
    id = stateful.post(RESPONSES, create(background=True)).json["id"]
    done = wait_for_status(stateful, id, "completed")

    answer = stateful.call("POST", f"{RESPONSES}/{id}/cancel")

    assert (answer.status, answer.json) == (200, done)


def test_deleting_ends_what_runs(stateful, vllm, way):
    vllm.will_stall(after_chunks=streamed_by(way, "Hi")[:3])
    id = stateful.post(RESPONSES, create(background=True)).json["id"]
    vllm.wait_until_received()

    assert stateful.call("DELETE", f"{RESPONSES}/{id}").json["deleted"] is True

    vllm.wait_until_left()
    assert show(stateful, id).status == 404
    assert eventually(lambda: stateful.runs)[0]["reason"] == "deleted while it ran"


def test_what_the_server_refuses_is_failed_with_its_reason(stateful, vllm, way):
    words = "This model's maximum context length is 512 tokens."
    error = {"message": words, "type": "BadRequestError", "param": "input", "code": 400}
    vllm.will_answer_json(400, {"error": error})

    answer = stateful.post(RESPONSES, create(background=True, stream=True))

    created, failed = events_of(answer.body)
    assert (created["type"], failed["type"]) == ("response.created", "response.failed")
    assert [created["sequence_number"], failed["sequence_number"]] == [0, 1]
    assert failed["response"]["status"] == "failed"
    assert failed["response"]["error"] == {"code": "invalid_prompt", "message": words}
    assert show(stateful, failed["response"]["id"]).json == failed["response"]
    assert "upstream_400" in stateful.runs[0]["reason"]


def test_a_server_that_cannot_be_reached_fails_it(stateful, vllm):
    vllm.will_refuse()
    id = stateful.post(RESPONSES, create(background=True)).json["id"]

    failed = wait_for_status(stateful, id, "failed")

    assert failed["error"]["code"] == "server_error"
    assert "cannot be reached" in failed["error"]["message"]


def test_a_stream_that_breaks_off_fails_it_and_keeps_what_was_told(stateful, vllm, way):
    vllm.will_cut_after(*streamed_by(way, "Hi", "!")[:-3])

    answer = stateful.post(RESPONSES, create(background=True, stream=True))

    told = events_of(answer.body)
    assert told[-1]["type"] == "response.failed"
    assert "error" not in [event["type"] for event in told]
    assert numbers(answer.body) == list(range(len(told)))
    assert told[-1]["response"]["error"]["code"] == "server_error"
    id = told[0]["response"]["id"]
    assert show(stateful, id).json == told[-1]["response"]
    again = show(stateful, f"{id}?stream=true")
    assert again.body == answer.body


@pytest.mark.parametrize("end", [b"", b"data: [DONE]\n\n"])
def test_a_stream_that_ends_without_its_last_event_fails_it(native, vllm, end):
    vllm.will_stream(*native_stream("Hi")[:4], *filter(None, [end]))
    id = native.post(RESPONSES, create(background=True)).json["id"]

    assert "ended before" in wait_for_status(native, id, "failed")["error"]["message"]


def test_a_server_that_answers_plainly_is_taken_at_its_word(native, vllm):
    vllm.will_answer_json(200, native_response("completed", "Hi!"))

    answer = native.post(RESPONSES, create(background=True, stream=True))

    assert [event["type"] for event in events_of(answer.body)] == [
        "response.created",
        "response.completed",
    ]


def test_cut_by_length_it_is_incomplete(native, vllm):
    """As vLLM tells it: a completed event about an incomplete response."""
    *before, _ = native_stream("Hi")
    final = native_response("incomplete", "Hi")
    vllm.will_stream(*before, native_event("response.completed", len(before), response=final))
    id = native.post(RESPONSES, create(background=True)).json["id"]

    assert wait_for_status(native, id, "incomplete")["output"]


@pytest.mark.parametrize(
    ("members", "status", "code"),
    [
        ({"model": "nobody/knows"}, 404, "model_not_found"),
        ({"input": 7}, 400, "invalid_request"),
        ({"tools": [{"type": "web_search"}]}, 400, "invalid_request"),
    ],
)
def test_what_is_wrong_from_the_first_is_refused_at_once(mount, vllm, members, status, code):
    gateway = mount(server(vllm, TRANSLATED))

    refused = gateway.post(RESPONSES, create(background=True) | members)

    assert (refused.status, error_of(refused)["code"]) == (status, code)
    assert vllm.received == []


def test_one_more_than_a_process_may_run_is_refused(mount, vllm):
    gateway = mount(server(vllm), background_responses=2)
    vllm.will_stall(always=True)
    ids = [
        gateway.post(RESPONSES, create(background=True), key=key).json["id"]
        for key in (MASTER_KEY, OTHER_KEY)
    ]

    refused = gateway.post(RESPONSES, create(background=True))

    assert (refused.status, error_of(refused)["code"]) == (429, "too_many_in_background")
    assert refused.headers["retry-after"] == "1"
    assert gateway.call("POST", f"{RESPONSES}/{ids[0]}/cancel").json["status"] == "cancelled"
    assert gateway.post(RESPONSES, create(background=True)).status == 200


def test_the_call_and_what_runs_have_a_line_each(stateful, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi!"))
    id = stateful.post(RESPONSES, create(background=True)).json["id"]
    wait_for_status(stateful, id, "completed")

    asked = stateful.records[0]
    [ran] = eventually(lambda: stateful.runs)
    assert (asked["path"], asked["status"], asked["model"]) == (RESPONSES, 200, MODEL)
    assert ran["path"] == "/v1/responses (background)"
    assert (ran["provider"], ran["status"], ran["request_id"]) == (
        "alpha",
        200,
        asked["request_id"],
    )
    assert ran["key"] == asked["key"]
    assert "reason" not in ran


def test_another_key_neither_sees_nor_cancels_it(native, vllm):
    vllm.will_stall(after_chunks=native_stream("Hi")[:2])
    id = native.post(RESPONSES, create(background=True)).json["id"]

    for refused in (
        show(native, id, key=OTHER_KEY),
        show(native, f"{id}?stream=true", key=OTHER_KEY),
        native.call("POST", f"{RESPONSES}/{id}/cancel", key=OTHER_KEY),
        native.call("DELETE", f"{RESPONSES}/{id}", key=OTHER_KEY),
    ):
        assert error_of(refused)["code"] == "response_not_found"
    assert status_of(native, id) in {"queued", "in_progress"}
    native.call("DELETE", f"{RESPONSES}/{id}")


def test_what_is_not_finished_cannot_be_continued(native, vllm):
    vllm.will_stall(after_chunks=native_stream("Hi")[:2])
    id = native.post(RESPONSES, create(background=True)).json["id"]

    refused = native.post(RESPONSES, create(previous_response_id=id))

    assert (refused.status, error_of(refused)["param"]) == (400, "previous_response_id")
    native.call("DELETE", f"{RESPONSES}/{id}")
