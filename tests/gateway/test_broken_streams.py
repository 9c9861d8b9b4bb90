"""A stream that breaks off is ended by one error event in OpenAI's shape, wherever it was cut."""

from __future__ import annotations

import json

import openai
import pytest

from tests.gateway.event_parser import events
from tests.mounted import CHAT, MASTER_KEY, MODEL, chat, provider, request
from tests.raw_http import Answer
from tests.scripting import EVENT_STREAM, chunk_bytes, stream_head

FIRST = 'data: {"id":"é","n":1}\n\n'.encode()
ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


def event_with(end: bytes) -> bytes:
    line = 'data: {"id":"chatcmpl-1","text":"é☕","n":[1,{"a":null}]}'.encode()
    return b": a comment" + end + b"event: delta" + end + line + end + end


CUTS = [(name, at) for name, end in ENDS.items() for at in range(len(event_with(end)) + 1)]


def check_error_event(answer: Answer, code: str = "upstream_broke") -> None:
    """The answer is complete, and the last event, alone, is the error."""
    *before, last = events(answer.body)
    error = json.loads(last)["error"]
    assert list(json.loads(last)) == ["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("provider_error", code)
    assert "alpha" in error["message"]
    assert not any("provider_error" in event for event in before)
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize(("end", "at"), CUTS, ids=[f"{name} at {at}" for name, at in CUTS])
def test_wherever_an_event_is_cut_the_error_event_can_be_read(gateway, vllm, end, at):
    part = event_with(ENDS[end])[:at]
    vllm.will_cut_after(*filter(None, (FIRST, part)))

    answer = gateway.call("POST", CHAT, chat(stream=True))

    assert answer.status == 200
    assert answer.body.startswith(FIRST + part)
    assert events(answer.body)[0] == '{"id":"é","n":1}'
    check_error_event(answer)


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_stream_may_be_closed_or_reset(gateway, vllm, how):
    vllm.will_cut_after(FIRST, how=how)
    client = gateway.connect()
    client.send(request("POST", CHAT, chat(stream=True)))

    answer = client.read_answer()
    assert answer.chunks[0] == FIRST
    check_error_event(answer)
    record = gateway.record()
    assert (record["status"], record["provider"]) == (200, "alpha")
    assert record["reason"].startswith("upstream_broke")
    client.send(request("POST", CHAT, chat()))
    assert client.read_answer().status == 200


@pytest.mark.parametrize("event", [FIRST, FIRST[:10]], ids=["between events", "within one"])
def test_a_stream_that_falls_silent_is_ended(gateway, vllm, event):
    gateway.publish(provider(vllm.url, idle_seconds=0.2))
    vllm.will_stall(after_chunks=[event])

    answer = gateway.call("POST", CHAT, chat(stream=True))

    check_error_event(answer, "upstream_timeout")
    vllm.wait_until_left()
    assert gateway.record()["reason"].startswith("upstream_timeout")


@pytest.mark.parametrize("then", ["close", "stall"])
@pytest.mark.parametrize(
    "garbage", [b"zz\r\n", b"-1\r\n", b"5\r\n123456789\r\n"], ids=["no number", "minus", "too long"]
)
def test_garbage_within_a_stream_ends_it_at_once(gateway, vllm, garbage, then):
    head = stream_head() + chunk_bytes(FIRST)
    vllm.will_send(head, garbage, then=then, pause_seconds=0.05)

    answer = gateway.call("POST", CHAT, chat(stream=True))

    assert answer.body.startswith(FIRST)
    check_error_event(answer)


def test_a_stream_with_a_length_ends_with_its_error_event_too(gateway, vllm):
    """A Content-Length that the upstream does not keep must not hold the error event back."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ncontent-length: 1000\r\n\r\n"
    vllm.will_send(head % EVENT_STREAM.encode() + FIRST, then="close")

    answer = gateway.call("POST", CHAT, chat(stream=True))

    assert answer.body.startswith(FIRST)
    check_error_event(answer)


def test_a_stream_ended_by_vllm_itself_gets_no_second_error(gateway, vllm):
    own = b'data: {"error": {"message": "EngineCore", "type": "InternalServerError", "code": 500}}\n\n'
    vllm.will_stream(FIRST, own, b"data: [DONE]\n\n")

    answer = gateway.call("POST", CHAT, chat(stream=True))

    assert answer.chunks == [FIRST, own, b"data: [DONE]\n\n"]


def test_a_stream_passed_through_is_ended_in_the_same_way(gateway, vllm):
    vllm.will_cut_after(FIRST)

    check_error_event(gateway.call("POST", "/p/alpha/v1/chat/completions", chat(stream=True)))


def test_openais_own_client_raises_the_error(gateway, vllm):
    chunk = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [],
    }
    vllm.will_cut_after(b"data: %b\n\n" % json.dumps(chunk).encode())
    with openai.OpenAI(api_key=MASTER_KEY, base_url=f"{gateway.url}/v1", max_retries=0) as client:
        stream = client.chat.completions.create(
            model=f"alpha/{MODEL}", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        chunks = iter(stream)
        assert next(chunks).id == "1"
        with pytest.raises(openai.APIError, match="'alpha' failed"):
            next(chunks)
        stream.close()
