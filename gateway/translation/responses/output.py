"""Output items, and the endings a completion can have, as the Responses API words them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from gateway.translation.chat import CompletionDetails, PromptDetails, Usage
from gateway.translation.responses import sealing
from gateway.translation.responses.tool_choice import Tools
from gateway.translation.responses.tools import Tool

Item = dict[str, Any]

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Chat's finish_reason -> why a response is incomplete. Those in FAILED fail one, others complete it."""


Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]


class TopLogprob(msgspec.Struct, gc=False):
    token: str
    logprob: float
    bytes: list[Byte] | None = None


class Logprob(TopLogprob, gc=False):
    top_logprobs: list[TopLogprob] = []

    def __post_init__(self) -> None:
        """The Responses API always has the bytes of a token."""
        for entry in (self, *self.top_logprobs):
            if entry.bytes is None:
                entry.bytes = list(entry.token.encode("utf-8", "replace"))


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


def told(usage: Usage | None) -> Item | None:
    """`usage` as the Responses API counts. None where the server did not count."""
    if usage is None:
        return None
    prompt = usage.prompt_tokens_details or PromptDetails()
    completion = usage.completion_tokens_details or CompletionDetails()
    read, written = usage.prompt_tokens or 0, usage.completion_tokens or 0
    return {
        "input_tokens": read,
        "input_tokens_details": {
            "cached_tokens": prompt.cached_tokens or 0,
            "cache_write_tokens": prompt.created_cache_tokens or 0,
        },
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": completion.reasoning_tokens or 0},
        "total_tokens": usage.total_tokens or read + written,
    }


def failure(message: str, kind: str | None = None) -> Item:
    return {"code": "server_error", "message": message, "type": kind, "param": None}
