"""Anthropic's official client: natively, and by way of chat completions, to the same end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

from tests.vllm.conftest import MASTER_KEY
from tests.vllm.servers import TEXT_MODEL, Server

NATIVE, FORCED = f"vllm/{TEXT_MODEL}", f"forced/{TEXT_MODEL}"
BOTH = pytest.mark.parametrize("model", [NATIVE, FORCED], ids=["native", "translated"])
HELLO: Any = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather in a city",
    "strict": True,
    "input_schema": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
ASKED: dict[str, Any] = {"max_tokens": 16, "messages": HELLO, "extra_body": {"temperature": 0}}
TOOLED = {**ASKED, "max_tokens": 60, "tools": [WEATHER], "tool_choice": {"type": "any"}}


@pytest.fixture(scope="module")
def claude(aurora: Server) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(
        base_url=aurora.url, api_key=MASTER_KEY, max_retries=0, timeout=60
    ) as client:
        yield client


def final(message: anthropic.types.Message) -> dict[str, Any]:
    """The message, without the ids that each answer has of its own, and without what a tiny
    prompt cache has kept from the call before."""
    said: dict[str, Any] = message.to_dict()
    for block in said["content"]:
        block.pop("id", None)
    usage = said.pop("usage")
    cached = usage.get("cache_read_input_tokens") or 0
    tokens = (usage["input_tokens"] + cached, usage["output_tokens"])
    kept = {name: said[name] for name in ("type", "role", "model", "content", "stop_reason")}
    return {**kept, "tokens": tokens, "stop_sequence": said.get("stop_sequence")}


def streamed(claude: anthropic.Anthropic, model: str, **asked: Any) -> anthropic.types.Message:
    with claude.messages.stream(model=model, **asked) as stream:
        return stream.get_final_message()


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        {**ASKED, "system": "Be brief."},
        {**ASKED, "stop_sequences": ["e"]},
        {**ASKED, "system": [{"type": "text", "text": "Be brief."}], "max_tokens": 3},
        TOOLED,
        {**TOOLED, "tool_choice": {"type": "tool", "name": "get_weather"}},
    ],
    ids=["plain", "system", "stop", "blocks", "any tool", "named tool"],
)
def test_four_ways_lead_to_the_same_message(
    claude: anthropic.Anthropic, asked: dict[str, Any]
) -> None:
    messages = [
        claude.messages.create(model=NATIVE, **asked),
        claude.messages.create(model=FORCED, **asked),
        streamed(claude, NATIVE, **asked),
        streamed(claude, FORCED, **asked),
    ]

    assert messages[0].content
    assert [final(message) for message in messages] == [final(messages[0])] * 4


@BOTH
def test_a_tool_is_called_and_its_result_taken(claude: anthropic.Anthropic, model: str) -> None:
    called = streamed(claude, model, **TOOLED)
    [call] = [block for block in called.content if block.type == "tool_use"]
    assert call.name == "get_weather"
    assert call.input["city"] in {"Paris", "Rome"}
    assert called.stop_reason == "tool_use"

    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}
    turns = [
        *HELLO,
        {"role": "assistant", "content": [block.to_dict() for block in called.content]},
        {"role": "user", "content": [result]},
    ]
    answered = streamed(claude, model, **{**ASKED, "tools": [WEATHER], "messages": turns})
    assert answered.usage.output_tokens > 0


def test_tokens_are_counted_alike(claude: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"messages": HELLO, "system": "Be brief."}
    native, forced = (
        claude.messages.count_tokens(model=model, **asked).input_tokens
        for model in (NATIVE, FORCED)
    )
    used = claude.messages.create(model=NATIVE, **{**ASKED, "system": "Be brief."}).usage

    assert native == forced
    assert native == used.input_tokens + (used.cache_read_input_tokens or 0)


@BOTH
def test_errors_are_the_clients_classes(claude: anthropic.Anthropic, model: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        claude.messages.create(model=model, **{**ASKED, "max_tokens": 100_000})
    body: Any = caught.value.body
    assert body["error"]["type"] == "invalid_request_error"
    with pytest.raises(anthropic.NotFoundError):
        claude.messages.create(model=model + "-x", **ASKED)


def test_the_models_are_listed(claude: anthropic.Anthropic) -> None:
    assert NATIVE in [model.id for model in claude.models.list()]
    assert claude.models.retrieve(NATIVE).id == NATIVE
