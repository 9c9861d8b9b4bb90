"""The official client, unmodified, natively and with translation."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from tests.gateway.messages.anthropic import WAYS, chat_only, sdk
from tests.mounted import MODEL, provider
from tests.recorded import load

HELLO: Any = [{"role": "user", "content": "Hello, world!"}]
ASKED: dict[str, Any] = {"model": f"alpha/{MODEL}", "max_tokens": 150}
WEATHER: Any = {
    "name": "get_weather",
    "description": "Get the weather",
    "input_schema": {"type": "object", "properties": {"unit": {"type": "string"}}},
}
AGENT: dict[str, Any] = {
    # as coding agents send it: cached blocks, thinking, an instruction within the conversation
    "system": [
        {"type": "text", "text": "You help with code."},
        {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}},
    ],
    "thinking": {"type": "adaptive"},
    "metadata": {"user_id": '{"session_id":"1"}'},
    "extra_body": {
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
    },
    "extra_headers": {"anthropic-beta": "interleaved-thinking-2025-05-14"},
    "extra_query": {"beta": "true"},
}


@pytest.fixture
def client(gateway, vllm, ways):
    gateway.publish(chat_only(vllm) if ways == "translated" else provider(vllm.url))
    with sdk(gateway) as client:
        yield client


def will_say(vllm, ways: str, native: str, chat: str) -> None:
    vllm.will_replay(load(chat if ways == "translated" else native))


def final(message: anthropic.types.Message) -> dict[str, Any]:
    """What a message says, without what no two servers would say alike."""
    content = [block.to_dict() for block in message.content]
    for block in content:
        block.pop("id", None)
    return {"content": content, "stop_reason": message.stop_reason}


@WAYS
def test_a_message_is_created(client, vllm, ways):
    will_say(vllm, ways, "full_messages_plain", "full_chat_plain")

    message = client.messages.create(messages=HELLO, **ASKED)

    assert final(message) == final(
        anthropic.types.Message.model_validate(load("full_messages_plain").json)
    )
    assert message.usage.input_tokens == 16
    assert message.usage.output_tokens == 8


@WAYS
def test_a_message_is_streamed_to_the_same_end(client, vllm, ways):
    will_say(vllm, ways, "full_messages_stream", "full_chat_stream_usage")

    with client.messages.stream(messages=HELLO, **ASKED) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()

    assert text == "] jumpsistant are tru w parametersu"
    assert message.stop_reason == "max_tokens"
    assert (message.usage.input_tokens, message.usage.output_tokens) == (16, 8)


@WAYS
@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_called(client, vllm, ways, streamed):
    end = "_stream" if streamed else ""
    will_say(vllm, ways, f"tools_messages_tool_any{end}", f"tools_required{end}")
    asked = {**ASKED, "tools": [WEATHER], "tool_choice": {"type": "any"}, "messages": HELLO}

    if streamed:
        with client.messages.stream(**asked) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(**asked)

    assert message.stop_reason == "tool_use"
    [call] = message.content
    assert (call.type, call.name, call.input) == (
        "tool_use", "get_weather", {"unit": "celsius", "days": 5},
    )  # fmt: skip


@WAYS
def test_a_tools_result_goes_back_in_a_stream_of_several_turns(client, vllm, ways):
    will_say(vllm, ways, "tools_messages_tool_any_stream", "tools_required_stream")
    will_say(vllm, ways, "full_messages_stream", "full_chat_stream_usage")
    asked = {**ASKED, "tools": [WEATHER], **AGENT}

    with client.messages.stream(messages=HELLO, **asked) as stream:
        called = stream.get_final_message()
    [call] = called.content
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}
    turns = [
        *HELLO,
        {"role": "assistant", "content": [block.to_dict() for block in called.content]},
        {"role": "user", "content": [result]},
        {"role": "system", "content": "The unit is celsius."},
    ]
    with client.messages.stream(messages=turns, **asked) as stream:
        answered = stream.get_final_message()

    assert answered.stop_reason == "max_tokens"
    if ways == "translated":
        *_, assistant, tool, later = vllm.received[1].json["messages"]
        assert assistant["tool_calls"][0]["id"] == call.id
        assert (tool["role"], tool["tool_call_id"]) == ("tool", call.id)
        assert later == {"role": "user", "content": "The unit is celsius."}


@WAYS
def test_tokens_are_counted(client, vllm, ways):
    will_say(vllm, ways, "full_messages_count_tokens", "full_tokenize_chat")

    count = client.messages.count_tokens(model=f"alpha/{MODEL}", messages=HELLO)

    assert count.input_tokens == 16


@WAYS
def test_errors_are_the_clients_own_classes(client, vllm, ways):
    with pytest.raises(anthropic.NotFoundError, match="nope") as caught:
        client.messages.create(messages=HELLO, **{**ASKED, "model": "nope"})
    assert caught.value.request_id == caught.value.response.headers["x-request-id"]
    with pytest.raises(anthropic.AuthenticationError):
        client.with_options(api_key="wrong").messages.create(messages=HELLO, **ASKED)
    will_say(vllm, ways, "full_messages_too_long", "gen_err_too_long")
    with pytest.raises(anthropic.BadRequestError, match="token"):
        client.messages.create(messages=HELLO, **ASKED)


@WAYS
def test_a_stream_that_breaks_off_raises(client, vllm, ways):
    name = "full_chat_stream_usage" if ways == "translated" else "full_messages_stream"
    vllm.will_cut_after(*load(name).reads[:4])

    with (
        client.messages.stream(messages=HELLO, **ASKED) as stream,
        pytest.raises(anthropic.APIStatusError, match="alpha"),
    ):
        stream.get_final_message()
