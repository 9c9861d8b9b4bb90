"""What a vLLM server answered reaches the client byte for byte, chunk for chunk."""

from __future__ import annotations

import json

import msgspec
import pytest

from tests import recorded
from tests.held import counting
from tests.mounted import CHAT, MODEL, chat, provider, request
from tests.processes import eventually
from tests.recorded import Recording

RELAYED = {"/v1/chat/completions", "/v1/completions", "/v1/embeddings"}
OWN_HEADERS = {"date", "server", "connection", "transfer-encoding", "x-request-id"}
TWO_ANSWERS = {"raw_pipelined"}


def worded_by_vllm(recording: Recording) -> bool:
    """Whether Aurora hands the answer on: not what says nothing, or is about Aurora's own key."""
    if 200 <= recording.status < 300:
        return True
    try:
        said = recording.json
    except ValueError:
        return False
    return isinstance(said, dict) and isinstance(said.get("error"), dict)


REPLAYED = [
    name
    for name in recorded.names()
    if (recording := recorded.load(name)).path in RELAYED
    and recording.method == "POST"
    and name not in TWO_ANSWERS
    and worded_by_vllm(recording)
]


def asked(recording: Recording) -> tuple[bytes, str]:
    """The recorded request where Aurora can route it, else one it can; and the model it names."""
    try:
        body = json.loads(recording.request_body)
    except ValueError:
        body = None
    if isinstance(body, dict) and isinstance(body.get("model"), str):
        return recording.request_body, body["model"]
    return chat(), MODEL


def test_there_are_recordings_of_every_kind():
    recordings = [recorded.load(name) for name in REPLAYED]

    assert {recording.path for recording in recordings} == RELAYED
    assert sum(recording.streamed for recording in recordings) >= 15
    assert sum(recording.status >= 400 for recording in recordings) >= 20
    assert sum(not recording.streamed and recording.status == 200 for recording in recordings) >= 20


@pytest.mark.parametrize("name", recorded.one_of_a_kind(REPLAYED))
def test_a_recorded_answer_is_relayed_as_it_was(gateway, vllm, name):
    recording = recorded.load(name)
    body, model = asked(recording)
    gateway.publish(provider(vllm.url, models=[model]))
    vllm.will_replay(recording)

    answer = gateway.call("POST", recording.path, body)

    assert (answer.status, answer.body) == (recording.status, recording.body)
    if recording.streamed:
        assert tuple(answer.chunks) == recording.reads
    kept = {(name.lower(), value) for name, value in recording.headers}
    assert {pair for pair in kept if pair[0] not in OWN_HEADERS} <= set(answer.pairs)
    assert answer.headers["content-type"] == dict(kept)["content-type"]
    assert vllm.received[0].path == recording.path


def test_a_stream_arrives_as_it_is_made_not_at_its_end(gateway, vllm):
    vllm.will_stall(after_chunks=[b'data: {"n":1}\n\n', b"data: half an ev"])
    client = gateway.connect()
    client.send(request("POST", CHAT, chat(stream=True)))

    head = client.read_head()
    assert (client.read_chunk(), client.read_chunk()) == (
        b'data: {"n":1}\n\n',
        b"data: half an ev",
    )
    assert head.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert head.headers["cache-control"] == "no-cache"
    client.close()


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: 1\r\n\r\n", b"data: [DONE]\r\n\r\n"],
        [b": keep-alive\n\n", b"data: 1\n\n"],
        [b"event: a\ndata: 1\n\ndata: 2\n\n"],
        ["data: é\n\n".encode()[:7], "data: é\n\n".encode()[7:]],
        [b"data: 1\n", b"\n"],
        [b"data: without an end"],
        [b"\xff\x00 not an event at all"],
        [bytes([value]) for value in b"data: 1\n\n"],
    ],
    ids=["crlf", "comment", "two at once", "torn letter", "torn end", "open", "garbage", "bytes"],
)
def test_the_events_of_a_stream_are_not_touched(gateway, vllm, chunks):
    vllm.will_stream(*chunks)

    answer = gateway.call("POST", CHAT, chat(stream=True))

    assert answer.chunks == chunks


LARGE = "x" * 2**19


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (CHAT, {"messages": [{"role": "user", "content": LARGE}]}),
        ("/v1/completions", {"prompt": LARGE}),
        ("/v1/messages", {"max_tokens": 9, "messages": [{"role": "user", "content": LARGE}]}),
        ("/v1/responses", {"input": LARGE}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nothing_holds_what_was_asked_while_a_stream_runs(gateway, vllm, path, said):
    """It may be large, and the stream may run for hours."""
    vllm.will_stall(after_chunks=[b'data: {"id":1}\n\n'])
    client = gateway.connect()
    with counting(len(LARGE) // 2) as held:
        body = msgspec.json.encode({"model": MODEL, "stream": True, **said})
        client.send(request("POST", path, body))
        client.read_head()
        client.read_chunk()
        assert held() >= 2 * len(LARGE)  # the test's own, and what the server received
        vllm.received.clear()
        del body

        eventually(lambda: held() == 0)

    client.close()


@pytest.mark.parametrize("size", [0, 1, 65_536, 3_000_001])
def test_a_body_of_any_size_is_relayed_whole(gateway, vllm, size):
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    vllm.will_answer(200, [("content-type", "application/json")], body)

    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, answer.body) == (200, body)
    assert answer.headers["content-length"] == str(size)
    assert gateway.record()["bytes"] == size


def test_a_chunked_answer_that_is_no_stream_is_relayed_whole(gateway, vllm):
    vllm.will_stream(b'{"a":', b"1}", content_type="application/json")

    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, answer.body) == (200, b'{"a":1}')
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_good_status_is_kept(gateway, vllm, status):
    vllm.will_answer(status, [("content-type", "text/plain")], b"done")

    assert gateway.call("POST", CHAT, chat()).status == status


def test_ten_calls_on_one_connection_use_one_connection_upstream(gateway, vllm):
    client = gateway.connect()
    for _ in range(10):
        client.send(request("POST", CHAT, chat()))
        assert client.read_answer().status == 200

    assert {seen.connection for seen in vllm.received} == {1}
    assert len(vllm.received) == 10
