"""A client waits long for the first event of its stream: it hears something, and no server is given
up for that. The server's side is played by the test: it answers when the client has heard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anthropic
import openai
import pytest

from gateway.routing import Settings
from gateway.sse import BYTE_ORDER_MARK, Parser
from gateway.waiting import COMMENT
from providers.snapshot import AliasEntry, TargetEntry
from tests import recorded
from tests.gateway.fleet.servers import Clock
from tests.gateway.messages.anthropic import message
from tests.gateway.raw_upstream import RawUpstream
from tests.gateway.responses.making import chat_stream, create, native_stream
from tests.mounted import (
    CHAT,
    MASTER_KEY,
    MODEL,
    NO_HURRY,
    MountedGateway,
    chat,
    error_of,
    provider,
    request,
)
from tests.raw_http import RawClient
from tests.scripting import LAST_CHUNK, chunk_bytes, json_answer, stream_head

SECONDS = 30.0
HASTY = pytest.mark.parametrize("limits", [replace(NO_HURRY, ping_seconds=0.02, head_seconds=0.02)])
SOON_AFTER_A_COMMENT = pytest.mark.parametrize("limits", [replace(NO_HURRY, comment_seconds=0.05)])
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
ASKED = {
    CHAT: chat(stream=True),
    f"/p/alpha{CHAT}": chat(model=MODEL, stream=True),
    RESPONSES: json.dumps(create(stream=True, store=False)).encode(),
    MESSAGES: message(stream=True),
}
MESSAGE = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
SPOKEN = {CHAT: chat_stream("Hi"), RESPONSES: native_stream("Hi"), MESSAGES: [MESSAGE]}
TOO_LONG = {
    "error": {"message": "Too long.", "type": "BadRequestError", "param": None, "code": 400}
}


@pytest.fixture
def upstream() -> Iterator[RawUpstream]:
    with RawUpstream(SECONDS) as upstream:
        yield upstream


@pytest.fixture
def waiting(gateway: MountedGateway, upstream: RawUpstream) -> MountedGateway:
    """Knows the test as `alpha`, and gives it its time."""
    gateway.publish(slow(upstream))
    return gateway


def slow(upstream: RawUpstream, name: str = "alpha", **settings: Any) -> Any:
    limits = {"first_byte_seconds": SECONDS, "idle_seconds": SECONDS}
    return provider(upstream.url, name, **{**limits, **settings})


def ask(gateway: MountedGateway, path: str = CHAT, body: bytes = b"") -> RawClient:
    client = gateway.connect(SECONDS)
    client.send(request("POST", path, body or ASKED[path]))
    return client


def hears(client: RawClient) -> dict[str, str]:
    """The head of the answer, once a comment has come behind it."""
    head = client.read_head()
    assert (head.start[1], client.read_chunk()) == ("200", COMMENT)
    return head.headers


def rest_of(client: RawClient) -> bytes:
    return b"".join(iter(client.read_chunk, b""))


def without_comments(body: bytes) -> bytes:
    return body.replace(COMMENT, b"")


def answered(*events: bytes) -> bytes:
    return b"".join((stream_head(), *map(chunk_bytes, events), LAST_CHUNK))


def last_event(body: bytes) -> tuple[str, Any]:
    event = Parser().feed(body)[-1]
    return event.name.decode(), json.loads(event.data)


# What it hears.


@HASTY
@pytest.mark.parametrize("path", SPOKEN)
def test_comments_come_while_the_server_says_nothing(waiting, upstream, path):
    client = ask(waiting, path)
    headers = hears(client)
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    assert headers["x-accel-buffering"] == "no"
    assert "x-request-id" in headers
    assert [client.read_chunk() for _ in range(3)] == [COMMENT] * 3

    upstream.read_head()
    upstream.send(answered(*SPOKEN[path]))

    assert without_comments(rest_of(client)) == b"".join(SPOKEN[path])
    record = waiting.record()
    assert (record["status"], record["attempts"]) == (200, 1)
    assert "reason" not in record


@HASTY
@pytest.mark.parametrize("path", [RESPONSES, MESSAGES])
def test_comments_come_before_a_translated_stream_too(waiting, upstream, path):
    waiting.publish(slow(upstream, translation="always"))
    client = ask(waiting, path)
    hears(client)

    upstream.read_head()
    upstream.send(answered(*chat_stream("Hi")))

    names = [event.name.decode() for event in Parser().feed(rest_of(client))]
    assert names[0] in {"response.created", "message_start"}
    assert names[-1] in {"response.completed", "message_stop"}


@HASTY
def test_a_server_whose_head_is_there_is_named_in_the_answers(waiting, upstream):
    """As of vLLM while it is at work on a long prompt. The body passes on as it comes in."""
    client = ask(waiting, f"/p/alpha{CHAT}")
    upstream.read_head()
    upstream.send(stream_head())

    headers = hears(client)

    assert (headers["x-aurora-provider"], headers["vary"]) == ("alpha", "Origin")
    upstream.send(chunk_bytes(b"data: [DONE]\n\n") + LAST_CHUNK)
    assert without_comments(rest_of(client)) == b"data: [DONE]\n\n"


@HASTY
def test_every_byte_of_the_server_passes_but_for_comments(waiting, upstream):
    recording = recorded.load("full_chat_stream_usage_continuous")
    client = ask(waiting)
    hears(client)

    upstream.read_head()
    upstream.send(answered(*recording.reads))

    assert without_comments(rest_of(client)) == recording.body


def test_a_quick_stream_has_no_comment(gateway, vllm):
    assert COMMENT not in gateway.call("POST", CHAT, chat(stream=True)).body


# A server's own comments.


@SOON_AFTER_A_COMMENT
@pytest.mark.parametrize("comment", [b": still here\n\n", b"\xef\xbb\xbf:\r\n\r\n"])
def test_a_servers_comment_passes_as_it_came(waiting, upstream, comment):
    """Long before the time in which a client hears nothing is over."""
    client = ask(waiting)
    upstream.read_head()
    upstream.send(stream_head() + chunk_bytes(comment))

    assert client.read_head().headers["x-aurora-provider"] == "alpha"
    assert client.read_chunk() == comment
    upstream.send(chunk_bytes(b": again\n\n"))
    assert client.read_chunk() == b": again\n\n"
    upstream.send(chunk_bytes(b"data: [DONE]\n\n") + LAST_CHUNK)
    assert rest_of(client) == b"data: [DONE]\n\n"


@SOON_AFTER_A_COMMENT
def test_before_a_translated_stream_it_lets_the_client_hear_of_it(waiting, upstream):
    waiting.publish(slow(upstream, translation="always"))
    client = ask(waiting, MESSAGES)
    upstream.read_head()
    upstream.send(stream_head() + chunk_bytes(b": still here\n\n"))

    hears(client)

    upstream.send(b"".join(map(chunk_bytes, chat_stream("Hi"))) + LAST_CHUNK)
    assert last_event(rest_of(client))[0] == "message_stop"


# Another server may still answer.


@pytest.fixture
def both(server_thread, limits, upstream, vllm) -> Iterator[MountedGateway]:
    """`vllm` is asked where the test fails a call."""
    mounted = MountedGateway(server_thread, limits, of_fleet={"repeated_share": 0.2})
    tiers = tuple((TargetEntry(name, MODEL),) for name in ("alpha", "beta"))
    mounted.publish(slow(upstream), provider(vllm.url, "beta"), aliases=[AliasEntry("both", tiers)])
    yield mounted
    mounted.close()


FAILURES = {
    "it ends without an answer": b"",
    "it answers 503": json_answer(503, {"error": {"message": "overloaded"}}),
    "it does not know the model": json_answer(
        404, {"error": {"message": "The model `m` does not exist.", "code": 404}}
    ),
    "its stream begins with an error": answered(b'data: {"error": {"message": "x"}}\n\n'),
    "so it does behind comments": answered(b": 1\n\n", b": 2\n\n", b'data: {"error": {}}\n\n'),
}


@HASTY
@pytest.mark.parametrize("failure", FAILURES)
def test_a_server_that_fails_is_passed_over_behind_the_head(both, upstream, vllm, failure):
    recording = recorded.load("gen_chat_stream")
    vllm.will_replay(recording)
    client = ask(both, body=chat(model="both", stream=True))
    hears(client)

    upstream.read_head()
    upstream.send(FAILURES[failure])
    upstream.connection.close()

    body = without_comments(rest_of(client))
    assert body.replace(b": 1\n\n", b"").replace(b": 2\n\n", b"") == recording.body
    record = both.record()
    assert (record["provider"], record["attempts"], record["status"]) == ("beta", 2, 200)


@HASTY
def test_the_byte_order_mark_of_the_next_server_does_not_come_within_the_stream(
    both, upstream, vllm
):
    vllm.will_stream(BYTE_ORDER_MARK + b'data: {"choices":[]}\n\n')
    client = ask(both, body=chat(model="both", stream=True))
    hears(client)

    upstream.read_head()
    upstream.connection.close()

    assert without_comments(rest_of(client)) == b'data: {"choices":[]}\n\n'


# Errors.


@HASTY
@pytest.mark.parametrize(
    ("path", "name", "said"),
    [
        (CHAT, "", lambda data: data["error"]),
        (RESPONSES, "error", lambda data: data),
        (MESSAGES, "error", lambda data: data["error"]),
    ],
)
def test_what_a_server_refuses_is_told_by_an_event_in_the_dialect(
    waiting, upstream, path, name, said
):
    client = ask(waiting, path)
    hears(client)

    upstream.read_head()
    upstream.send(json_answer(400, TOO_LONG))

    named, data = last_event(rest_of(client))
    assert (named, said(data)["message"]) == (name, "Too long.")
    record = waiting.record()
    assert (record["status"], record["reason"]) == (200, "upstream_400")


@HASTY
@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (b"", "upstream_broke"),
        (json_answer(503, {"error": {"message": "Overloaded."}}), "upstream_503"),
        (json_answer(401, {"error": "Unauthorized"}), "upstream_auth"),
        (json_answer(404, {"detail": "Not Found"}), "unsupported_endpoint"),
        (json_answer(200, {"choices": []}), "upstream_broke"),
    ],
)
def test_a_failure_of_the_last_server_is_told_by_an_event(waiting, upstream, answer, code):
    client = ask(waiting)
    hears(client)

    upstream.read_head()
    upstream.send(answer)
    upstream.connection.close()

    assert last_event(rest_of(client))[1]["error"]["code"] == code
    assert waiting.record()["reason"].startswith(code)


@HASTY
def test_an_error_with_which_the_last_stream_begins_goes_out_as_it_came(waiting, upstream):
    error = b'data: {"error": {"message": "EngineCore"}}\n\n'
    client = ask(waiting)
    hears(client)

    upstream.read_head()
    upstream.send(answered(error, b"data: [DONE]\n\n"))

    assert without_comments(rest_of(client)) == error + b"data: [DONE]\n\n"


@HASTY
def test_a_process_that_stops_tells_those_that_wait(waiting, upstream):
    client = ask(waiting)
    hears(client)

    waiting.stop()

    assert last_event(rest_of(client))[1]["error"]["code"] == "stopping"


@HASTY
def test_a_client_that_leaves_while_it_waits_ends_the_call(waiting, upstream):
    client = ask(waiting)
    hears(client)
    upstream.read_head()

    client.close()

    assert upstream.left()
    waiting.wait_until_idle()
    assert waiting.record()["reason"] == "the client left"


# Who waits in line, and who does not wait at all.


@pytest.fixture
def clock() -> Clock:
    """By which those who wait in line lose patience."""
    return Clock()


@pytest.fixture
def lined(server_thread, limits, vllm, clock) -> Iterator[MountedGateway]:
    """Its one server takes one call at a time."""
    fleet = {"clock": clock, "look_seconds": 0.02}
    pools = Settings(queue_seconds=SECONDS)
    mounted = MountedGateway(server_thread, limits, of_fleet=fleet, pools=pools)
    mounted.publish(provider(vllm.url, max_concurrency=1))
    yield mounted
    mounted.close()


@HASTY
@pytest.mark.parametrize("path", [CHAT, f"/p/alpha{CHAT}"])
def test_a_call_that_waits_for_a_place_waits_too(lined, vllm, path):
    vllm.will_stall(after_chunks=[b"data: 1\n\n"])
    first = ask(lined)
    first.read_head()
    vllm.wait_until_received()

    second = ask(lined, path)
    hears(second)
    first.close()

    assert without_comments(rest_of(second)) == recorded.load("gen_chat_stream").body


@HASTY
def test_a_call_that_gets_no_place_is_told_by_an_event(lined, vllm, clock):
    vllm.will_stall(after_chunks=[b"data: 1\n\n"])
    first = ask(lined)
    first.read_head()
    vllm.wait_until_received()

    second = ask(lined)
    hears(second)
    clock.seconds += 2 * SECONDS

    assert last_event(rest_of(second))[1]["error"]["code"] == "servers_busy"


@HASTY
@pytest.mark.parametrize("path", [CHAT, "/v1/embeddings", "/tokenize"])
@pytest.mark.parametrize("stream", [{}, {"stream": False}, {"stream": None}])
def test_a_plain_call_waits_for_its_status(gateway, vllm, path, stream):
    body = json.dumps(TOO_LONG, separators=(",", ":")).encode()
    answer = json_answer(400, TOO_LONG)
    vllm.will_send(answer[:20], answer[20:], pause_seconds=0.2)

    told = gateway.call("POST", path, chat(**stream))

    assert (told.status, told.body) == (400, body)


@HASTY
def test_a_route_without_streams_has_none(gateway, vllm):
    answer = json_answer(200, {"data": []})
    vllm.will_send(answer[:20], answer[20:], pause_seconds=0.2)

    told = gateway.call("POST", "/v1/embeddings", chat(stream=True))

    assert (told.status, told.json) == (200, {"data": []})


def test_a_call_that_cannot_be_routed_is_refused_at_once(gateway):
    answer = gateway.call("POST", CHAT, chat(model="nope", stream=True))

    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")


# The official clients.


@HASTY
def test_openais_own_client_reads_on_behind_the_comments(waiting, upstream):
    with openai.OpenAI(
        api_key=MASTER_KEY, base_url=f"{waiting.url}/v1", max_retries=0, timeout=SECONDS
    ) as client:
        stream = client.chat.completions.create(model=MODEL, messages=[], stream=True)
        upstream.read_head()
        upstream.send(answered(*recorded.load("gen_chat_stream").reads))
        chunks = list(stream)

    assert chunks[-1].choices[0].finish_reason


@HASTY
def test_openais_own_client_raises_what_comes_behind_the_comments(waiting, upstream):
    with openai.OpenAI(
        api_key=MASTER_KEY, base_url=f"{waiting.url}/v1", max_retries=0, timeout=SECONDS
    ) as client:
        stream = client.chat.completions.create(model=MODEL, messages=[], stream=True)
        upstream.read_head()
        upstream.send(json_answer(400, TOO_LONG))
        with pytest.raises(openai.APIError, match="Too long"):
            list(stream)


@HASTY
def test_anthropics_own_client_reads_on_behind_the_comments(waiting, upstream):
    with anthropic.Anthropic(
        api_key=MASTER_KEY, base_url=waiting.url, max_retries=0, timeout=SECONDS
    ) as client:
        stream = client.messages.create(model=MODEL, max_tokens=8, messages=[], stream=True)
        upstream.read_head()
        upstream.send(answered(*recorded.load("full_messages_stream").reads))
        kinds = [event.type for event in stream]

    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
