"""Output items, and the endings a completion can have, as the Responses API words them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.translation.responses import sealing
from gateway.translation.responses.tools import Tool, Tools

Item = dict[str, Any]

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Chat's finish_reason -> why a response is incomplete."""
FAILED = {
    "abort": "The server broke the answer off.",
    "error": "The server failed while it answered.",
}
"""Chat's finish_reason -> what a failed response says. Any other reason completes one."""
BROKEN_OFF = "The server's stream ended before the answer did."


class TopLogprob(msgspec.Struct, gc=False):
    token: str
    logprob: float
    bytes: list[int] | None = None


class Logprob(TopLogprob, gc=False):
    top_logprobs: list[TopLogprob] = []

    def __post_init__(self) -> None:
        """The Responses API always has the bytes of a token."""
        for entry in (self, *self.top_logprobs):
            if entry.bytes is None:
                entry.bytes = list(entry.token.encode("utf-8", "replace"))


class CachedTokens(msgspec.Struct):
    cached_tokens: int | None = None
    created_cache_tokens: int | None = None


class ReasoningTokens(msgspec.Struct):
    reasoning_tokens: int | None = None


class Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int | None = None
    total_tokens: int = 0
    prompt_tokens_details: CachedTokens | None = None
    completion_tokens_details: ReasoningTokens | None = None

    def told(self) -> dict[str, Any]:
        cached = self.prompt_tokens_details or CachedTokens()
        reasoning = self.completion_tokens_details or ReasoningTokens()
        output = self.completion_tokens or 0
        return {
            "input_tokens": self.prompt_tokens,
            "input_tokens_details": {
                "cached_tokens": cached.cached_tokens or 0,
                "cache_write_tokens": cached.created_cache_tokens or 0,
            },
            "output_tokens": output,
            "output_tokens_details": {"reasoning_tokens": reasoning.reasoning_tokens or 0},
            "total_tokens": self.total_tokens or self.prompt_tokens + output,
        }


@dataclass(frozen=True, slots=True)
class Manner:
    """How a call wants its answer told."""

    tools: Tools
    seals_reasoning: bool = False
    logprobs: bool = False


def text_part(text: str, logprobs: Sequence[Logprob] = ()) -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def message(id: str, status: str, content: list[Item]) -> Item:
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def reasoning_part(text: str) -> Item:
    return {"type": "reasoning_text", "text": text}


def reasoning(id: str, status: str, content: list[Item], sealed: str | None) -> Item:
    item = {"id": id, "type": "reasoning", "summary": [], "content": content, "status": status}
    return item if sealed is None else {**item, "encrypted_content": sealing.sealed(sealed)}


def call(id: str, status: str, call_id: str, tool: Tool, said: str) -> Item:
    """A call of a function, or of a custom tool, whose input `said` is then."""
    item: Item = {"id": id, "call_id": call_id, "name": tool.name, "status": status}
    if tool.namespace is not None:
        item["namespace"] = tool.namespace
    if tool.custom:
        return {**item, "type": "custom_tool_call", "input": said}
    return {**item, "type": "function_call", "arguments": said}


def of_text(entries: Sequence[Logprob], text: str) -> list[Logprob]:
    """Those of all tokens that make `text`, where reasoning or calls are among them too."""
    said = b"".join(bytes(entry.bytes or ()) for entry in entries)
    start = said.rfind(text.encode("utf-8", "replace"))
    end, at, found = start + len(text.encode("utf-8", "replace")), 0, []
    for entry in entries:
        after = at + len(entry.bytes or ())
        if start >= 0 and at < end and after > start:
            found.append(entry)
        at = after
    return found


def failure(message: str, kind: str | None = None) -> Item:
    return {"code": "server_error", "message": message, "type": kind, "param": None}
