"""Where the server has Messages of its own, its bytes go through untouched."""

from __future__ import annotations

import json

import pytest

from tests.gateway.messages.anthropic import COUNT, MESSAGES, error_of, events, message
from tests.mounted import MASTER_KEY, MODEL, UPSTREAM_KEY, provider
from tests.recorded import load


@pytest.mark.parametrize(
    "name",
    ["full_messages_plain", "full_messages_stream", "tools_messages_tool_any",
     "tools_messages_tool_any_stream"],
)  # fmt: skip
def test_an_answer_is_the_servers_byte_for_byte(gateway, vllm, name):
    vllm.will_replay(load(name))

    answer = gateway.call("POST", MESSAGES, message(stream=load(name).streamed))

    assert (answer.status, answer.body) == (200, load(name).body)
    assert answer.headers["content-type"] == dict(load(name).headers)["content-type"]


def test_the_call_is_the_clients_but_for_the_models_name(gateway, vllm):
    body = b'{"max_tokens": 8,  "model":"alpha/%s","messages":[ ],"x":1.50}' % MODEL.encode()

    gateway.call("POST", f"{MESSAGES}?beta=true", body, [("anthropic-version", "2023-06-01")])

    [call] = vllm.received
    assert call.path_and_query == "/v1/messages?beta=true"
    assert call.body == b'{"max_tokens":8,"model":"%s","messages":[ ],"x":1.50}' % MODEL.encode()
    assert call.headers["anthropic-version"] == "2023-06-01"


@pytest.mark.parametrize(
    "headers", [[("x-api-key", MASTER_KEY)], [("Authorization", f"Bearer {MASTER_KEY}")]]
)
def test_either_way_to_give_the_key_is_taken_and_vllm_gets_its_own(gateway, vllm, headers):
    answer = gateway.call("POST", MESSAGES, message(), headers, key=None)

    assert answer.status == 200
    assert vllm.received[0].headers["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert MASTER_KEY not in str(vllm.received[0])


def test_tokens_are_counted_by_the_server(gateway, vllm):
    vllm.will_replay(load("full_messages_count_tokens"))

    answer = gateway.call("POST", COUNT, message())

    assert answer.body == load("full_messages_count_tokens").body
    assert vllm.received[0].path == COUNT


def test_an_error_within_a_stream_is_worded_as_anthropic_does(gateway, vllm):
    stream = load("full_messages_stream").body
    begun = stream[: stream.index(b"event: content_block_delta")]
    died = (
        b'event: error\ndata: {"type":"error","error":{"type":"internal_error","message":"x"}}\n\n'
    )
    vllm.will_stream(begun, died, b"data: [DONE]\n\n")

    answer = gateway.call("POST", MESSAGES, message(stream=True))

    assert answer.body.startswith(begun)
    assert events(answer)[-1] == (
        "error", {"type": "error", "error": {"type": "api_error", "message": "x"}},
    )  # fmt: skip


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_stream_that_breaks_off_ends_with_anthropics_error_event(gateway, vllm, how):
    begun = load("full_messages_stream").reads[0]
    vllm.will_cut_after(begun, how=how)

    answer = gateway.call("POST", MESSAGES, message(stream=True))

    name, data = events(answer)[-1]
    assert answer.body.startswith(begun)
    assert (name, data["type"], data["error"]["type"]) == ("error", "error", "api_error")
    assert "alpha" in data["error"]["message"]
    assert gateway.record()["reason"].startswith("upstream_broke")


def test_a_provider_set_to_translate_is_never_asked_for_messages(gateway, vllm):
    gateway.publish(provider(vllm.url, translation="always"))

    answer = gateway.call("POST", MESSAGES, message())

    assert answer.status == 200
    assert answer.json["type"] == "message"
    assert [call.path for call in vllm.received] == ["/v1/chat/completions"]


def test_of_two_servers_with_the_model_the_one_that_speaks_messages_gets_the_call(gateway, vllm):
    chat_only = provider("http://127.0.0.1:1", "aaa", routes=frozenset({"/v1/chat/completions"}))
    gateway.publish(chat_only, provider(vllm.url, "zzz", routes=frozenset({MESSAGES})))

    assert gateway.call("POST", MESSAGES, message(model=MODEL)).status == 200
    assert gateway.record()["provider"] == "zzz"


def test_a_model_without_any_way_is_told_with_what_its_server_has(gateway, vllm):
    gateway.publish(provider(vllm.url, routes=frozenset({"/v1/embeddings", "/pooling"})))

    error = error_of(gateway.call("POST", MESSAGES, message()))

    assert error["type"] == "invalid_request_error"
    assert "It has /pooling, /v1/embeddings." in error["message"]
    assert vllm.received == []


def test_what_is_counted_is_what_would_be_sent(gateway, vllm):
    vllm.will_answer_json(200, {"input_tokens": 3})

    gateway.call("POST", COUNT, message(system="Be brief."))

    assert json.loads(vllm.received[0].body)["system"] == "Be brief."
