"""What tests of Anthropic's routes share: calls of MODEL as Anthropic's clients make them."""

from __future__ import annotations

from typing import Any

import anthropic
import msgspec
import pytest

from gateway.sse import Parser
from providers.snapshot import ProviderEntry
from tests.mounted import MASTER_KEY, MODEL, MountedGateway, provider
from tests.patience import PATIENCE_SECONDS
from tests.raw_http import Answer
from tests.scripted_vllm import ScriptedVllm

MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"
CHAT_ONLY = frozenset({"/v1/chat/completions", "/tokenize"})
WAYS = pytest.mark.parametrize("ways", ["native", "translated"])


def message(**members: Any) -> bytes:
    value = {
        "model": f"alpha/{MODEL}",
        "max_tokens": 8,
        "messages": [{"role": "user", "content": "Hello, world!"}],
        "temperature": 0,
        **members,
    }
    return msgspec.json.encode(value)


def chat_only(vllm: ScriptedVllm) -> ProviderEntry:
    """A server of which is known that it has chat completions and no Messages."""
    return provider(vllm.url, routes=CHAT_ONLY)


def events(answer: Answer) -> list[tuple[str, Any]]:
    """Name and data of each event."""
    parsed = Parser().feed(answer.body)
    return [(event.name.decode(), msgspec.json.decode(event.data)) for event in parsed]


def error_of(answer: Answer) -> dict[str, Any]:
    """The error, which must be in Anthropic's shape, and name the request."""
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json) == {"type", "error", "request_id"}
    assert answer.json["type"] == "error"
    assert answer.json["request_id"] == answer.headers["x-request-id"]
    error: dict[str, Any] = answer.json["error"]
    assert set(error) == {"type", "message"}
    assert error["message"]
    return error


def sdk(gateway: MountedGateway, **options: Any) -> anthropic.Anthropic:
    """The official client, as it comes but for repeating."""
    given = {"api_key": MASTER_KEY, "max_retries": 0, "timeout": PATIENCE_SECONDS, **options}
    return anthropic.Anthropic(base_url=gateway.url, **given)
