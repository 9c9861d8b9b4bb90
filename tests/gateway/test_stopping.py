"""Aurora is stopped while calls run: each client that waits too long is told, in its dialect."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from gateway.sse import Parser
from tests.gateway.messages.anthropic import message
from tests.gateway.responses.making import chat_chunk, create, native_stream
from tests.mounted import CHAT, MASTER_KEY, MODEL, chat, error_of, provider, request
from tests.raw_http import CutShortError
from tests.scripting import head_bytes

SAID = chat_chunk({"role": "assistant", "content": "Hi"})
BEGUN = b'event: message_start\ndata: {"type":"message_start","message":{}}\n\n'
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
ASKED = {
    CHAT: chat(stream=True),
    f"/p/alpha{CHAT}": chat(stream=True),
    RESPONSES: json.dumps(create(stream=True)).encode(),
    MESSAGES: message(stream=True),
}


def last_event(body: bytes) -> tuple[str, Any]:
    """Its name and data."""
    event = Parser().feed(body)[-1]
    return event.name.decode(), json.loads(event.data)


def stopped_within(gateway, vllm, path: str, first: bytes) -> bytes:
    """The whole stream, of which the server said `first` before Aurora was stopped."""
    vllm.will_stall(after_chunks=[first])
    client = gateway.connect()
    client.send(request("POST", path, ASKED[path]))
    client.read_head()
    begun = client.read_chunk()
    gateway.stop()
    rest = b"".join(iter(client.read_chunk, b""))
    assert client.read_rest() == b""
    return begun + rest


@pytest.mark.parametrize("path", [CHAT, f"/p/alpha{CHAT}"])
def test_a_chat_ends_with_an_error_event(gateway, vllm, path):
    body = stopped_within(gateway, vllm, path, SAID)

    assert body.startswith(SAID)
    name, data = last_event(body)
    assert (name, data["error"]["code"]) == ("", "stopping")
    assert b"[DONE]" not in body
    assert gateway.record()["reason"] == "cancelled: Aurora is stopping"
    vllm.wait_until_left()


def test_an_event_that_is_on_its_way_does_not_swallow_the_error(gateway, vllm):
    body = stopped_within(gateway, vllm, CHAT, SAID + b'data: {"half')

    assert last_event(body)[1]["error"]["code"] == "stopping"


def test_a_response_ends_with_an_error_event_that_has_its_number(gateway, vllm):
    first, second, *_ = native_stream("Hi")

    name, data = last_event(stopped_within(gateway, vllm, RESPONSES, first + second))

    assert (name, data["type"], data["code"]) == ("error", "error", "stopping")
    assert data["sequence_number"] == 2


def test_a_translated_response_fails(gateway, vllm):
    gateway.publish(provider(vllm.url, translation="always"))

    name, data = last_event(stopped_within(gateway, vllm, RESPONSES, SAID))

    assert (name, data["response"]["status"]) == ("response.failed", "failed")


@pytest.mark.parametrize(("translation", "first"), [("auto", BEGUN), ("always", SAID)])
def test_a_message_ends_with_anthropics_error_event(gateway, vllm, translation, first):
    gateway.publish(provider(vllm.url, translation=translation))

    name, data = last_event(stopped_within(gateway, vllm, MESSAGES, first))

    assert (name, data["error"]["type"]) == ("error", "overloaded_error")


def test_a_call_that_waits_for_its_answer_is_503_in_its_dialect(gateway, vllm):
    vllm.will_stall(always=True)
    openai_client, anthropic_client = gateway.connect(), gateway.connect()
    openai_client.send(request("POST", CHAT, chat()))
    anthropic_client.send(request("POST", MESSAGES, message()))
    vllm.wait_until_received(2)

    gateway.stop()

    told = openai_client.read_answer()
    assert (told.status, error_of(told)["code"]) == (503, "stopping")
    assert told.headers["retry-after"] == "1"
    assert anthropic_client.read_answer().json["error"]["type"] == "overloaded_error"


def test_an_answer_that_is_no_stream_is_cut(gateway, vllm):
    head = head_bytes(200, [("content-type", "application/json"), ("content-length", "9")])
    vllm.will_send(head + b'{"a":', then="stall")
    client = gateway.connect()
    client.send(request("POST", "/v1/embeddings", chat()))
    gateway.wait_until_relaying()

    gateway.stop()

    with pytest.raises((CutShortError, ConnectionResetError)):
        client.read_answer()


def test_openais_own_client_raises_the_error(gateway, vllm):
    vllm.will_stall(after_chunks=[SAID])
    with openai.OpenAI(api_key=MASTER_KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        stream = client.chat.completions.create(
            model=f"alpha/{MODEL}", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        chunks = iter(stream)
        assert next(chunks).choices[0].delta.content == "Hi"
        gateway.stop()
        with pytest.raises(openai.APIError, match="stopped"):
            next(chunks)


def test_ready_says_503_while_calls_are_drained(gateway, vllm):
    """A request whose head was on its way is answered: a load balancer's, on a connection it has."""
    gateway.publish(provider(vllm.url, idle_seconds=60.0))
    vllm.will_stall(after_chunks=[SAID])
    gateway._server.drain_seconds = 60.0
    running, balancer = gateway.connect(), gateway.connect()
    running.send(request("POST", CHAT, chat(stream=True)))
    running.read_head()
    ready = request("GET", "/ready")
    balancer.send(ready[:-2])
    gateway.wait_until_arriving()

    gateway.stop()
    gateway.wait_until_stopping()
    balancer.send(ready[-2:])
    told = balancer.read_answer()
    running.close()

    assert (told.status, error_of(told)["code"]) == (503, "stopping")
    assert told.headers["connection"] == "close"
