"""Where the server has chat completions only, Messages go by way of these."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.gateway.messages.anthropic import (
    COUNT,
    MESSAGES,
    chat_only,
    error_of,
    events,
    message,
)
from tests.mounted import CHAT, MODEL, NO_HURRY, UNHURRIED, provider, request
from tests.recorded import load
from tests.scripting import chunk_bytes, stream_head

MISSING = {"detail": "Not Found"}


@pytest.fixture(autouse=True)
def speaks_chat(gateway, vllm):
    gateway.publish(chat_only(vllm))


def test_a_message_is_made_of_a_chat_completion(gateway, vllm):
    vllm.will_replay(load("full_chat_plain"))

    answer = gateway.call("POST", MESSAGES, message(system="Be brief."))

    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert int(answer.headers["content-length"]) == len(answer.body)
    native = load("full_messages_plain").json
    assert answer.json["content"] == native["content"]
    assert answer.json["stop_reason"] == native["stop_reason"]
    assert answer.json["id"].startswith("msg_")
    [call] = vllm.received
    assert (call.path, call.json["model"]) == (CHAT, MODEL)
    assert call.json["messages"] == [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello, world!"},
    ]  # fmt: skip


def test_a_stream_has_the_events_of_a_native_one_and_a_ping(gateway, vllm):
    vllm.will_replay(load("full_chat_stream_usage_continuous"))

    answer = gateway.call("POST", MESSAGES, message(stream=True))

    assert answer.headers["content-type"].startswith("text/event-stream")
    ours = [name for name, _ in events(answer)]
    assert ours[:3] == ["message_start", "ping", "content_block_start"]
    assert ours[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert vllm.received[0].json["stream_options"]["include_usage"] is True
    start, last = events(answer)[0][1], events(answer)[-2][1]
    assert start["message"]["usage"]["input_tokens"] == 16
    assert last["usage"]["output_tokens"] == 8


def test_each_event_goes_out_when_its_chunk_came(gateway, vllm):
    reads = load("full_chat_stream_usage").reads
    vllm.will_send(stream_head(), *(chunk_bytes(piece) for piece in reads[:3]), then="stall")
    client = gateway.connect()
    client.send(request("POST", MESSAGES, message(stream=True)))
    client.read_head()

    seen = b""
    while seen.count(b"text_delta") < 2:
        seen += client.read_chunk()

    client.close()
    vllm.wait_until_left()
    assert gateway.record()["reason"] == "the client left"


@pytest.mark.parametrize("stream", [False, True])
def test_the_client_leaves_before_anything_came(gateway, vllm, stream):
    vllm.will_stall()
    client = gateway.connect()
    client.send(request("POST", MESSAGES, message(stream=stream)))
    vllm.wait_until_received()

    client.close()

    vllm.wait_until_left()


def test_tokens_are_counted_by_the_servers_tokenizer(gateway, vllm):
    vllm.will_replay(load("full_tokenize_chat"))

    answer = gateway.call("POST", COUNT, message())

    assert answer.json == load("full_messages_count_tokens").json
    assert vllm.received[0].path == "/tokenize"


def test_that_a_server_lacks_messages_is_learnt_from_its_first_404(gateway, vllm):
    gateway.publish(provider(vllm.url))
    vllm.will_answer_json(404, MISSING)

    first = gateway.call("POST", MESSAGES, message())
    second = gateway.call("POST", MESSAGES, message())

    assert (first.status, second.status) == (200, 200)
    assert [call.path for call in vllm.received] == [MESSAGES, CHAT, CHAT]


def test_a_missing_model_is_not_taken_for_a_missing_route(gateway, vllm):
    gateway.publish(provider(vllm.url))
    vllm.will_replay(load("full_messages_unknown_model"))

    answer = gateway.call("POST", MESSAGES, message())

    assert (answer.status, error_of(answer)["type"]) == (404, "not_found_error")
    assert len(vllm.received) == 1


def test_a_server_that_has_neither_says_so_once_each(gateway, vllm):
    gateway.publish(provider(vllm.url))
    vllm.will_answer_json(404, MISSING, always=True)

    answers = [gateway.call("POST", MESSAGES, message()) for _ in range(2)]

    assert {answer.status for answer in answers} == {400}
    assert "does not serve /v1/messages" in error_of(answers[1])["message"]
    assert len(vllm.received) == 2


@pytest.mark.parametrize("limits", [replace(NO_HURRY, ping_seconds=0.05)])
def test_while_the_server_is_silent_the_client_hears_pings(gateway, vllm):
    vllm.will_stall(after_chunks=load("full_chat_stream_usage").reads[:2])
    client = gateway.connect()
    client.send(request("POST", MESSAGES, message(stream=True)))
    client.read_head()

    seen = b""
    while seen.count(b"event: ping") < 3:
        seen += client.read_chunk()


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_stream_that_breaks_off_ends_with_an_error_event(gateway, vllm, after):
    reads = load("full_chat_stream_usage").reads[:after]
    vllm.will_cut_after(*reads)

    answer = gateway.call("POST", MESSAGES, message(stream=True))

    if not after:
        assert (answer.status, error_of(answer)["type"]) == (502, "api_error")
        return
    names = [name for name, _ in events(answer)]
    assert names[0] == "message_start"
    assert names[-1] == "error"
    assert "message_stop" not in names


DIED = b'data: {"error": {"message": "The engine died.", "type": "InternalServerError"}}\n\n'


def test_a_server_that_fails_with_its_first_event_is_answered_for_with_a_status(gateway, vllm):
    vllm.will_stream(DIED, b"data: [DONE]\n\n")

    answer = gateway.call("POST", MESSAGES, message(stream=True))

    assert (answer.status, error_of(answer)["type"]) == (502, "api_error")
    assert "The engine died." in error_of(answer)["message"]


def test_a_server_that_fails_within_its_stream_is_left(gateway, vllm):
    begun = load("full_chat_stream_usage").reads[:3]
    vllm.will_stall(after_chunks=[*begun, DIED])

    answer = gateway.call("POST", MESSAGES, message(stream=True))

    assert events(answer)[-1][0] == "error"
    vllm.wait_until_left()
    assert gateway.record()["reason"].startswith("upstream_broke")


@pytest.mark.parametrize("waits", [replace(UNHURRIED, drain_seconds=0.1)])
def test_a_server_that_stays_after_its_last_event_keeps_nobody_waiting(gateway, vllm):
    vllm.will_stall(after_chunks=load("full_chat_stream_usage").reads)

    answer = gateway.call("POST", MESSAGES, message(stream=True))

    assert events(answer)[-1][0] == "message_stop"
    vllm.wait_until_left()


def test_the_connection_of_a_stream_that_was_translated_is_kept(gateway, vllm):
    for _ in range(2):
        vllm.will_replay(load("full_chat_stream_usage"))
        assert gateway.call("POST", MESSAGES, message(stream=True)).status == 200

    assert {call.connection for call in vllm.received} == {1}


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>", b'{"choices":[]}', b"\xff"])
def test_what_is_no_chat_completion_is_the_servers_fault(gateway, vllm, body):
    vllm.will_answer(200, [("content-type", "application/json")], body)

    answer = gateway.call("POST", MESSAGES, message())

    assert (answer.status, error_of(answer)["type"]) == (502, "api_error")


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"messages": "Hello"}, "messages"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
            "messages[0].content",
        ),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name_and_not_sent(gateway, vllm, members, named):
    answer = gateway.call("POST", MESSAGES, message(**members))

    assert (answer.status, error_of(answer)["type"]) == (400, "invalid_request_error")
    assert named in error_of(answer)["message"]
    assert vllm.received == []
