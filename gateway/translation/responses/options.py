"""Members of a create call that chat completions name otherwise, or have no word for. Pure.

Each is a row: what it becomes, that it is a hint, or why it is refused. A hint is taken and not
sent; the response says what was done. What is in no table passes as it came, so vLLM's own
additions (top_k, seed, chat_template_kwargs and the like) work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.translation.responses import reading

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
LOGPROBS = "message.output_text.logprobs"
SEALED_REASONING = "reasoning.encrypted_content"
MOST_TOP_LOGPROBS = 20
MOST_METADATA_PAIRS = 16
MOST_METADATA_NAME_CHARACTERS = 64
MOST_METADATA_VALUE_CHARACTERS = 512

Members = dict[str, Any]

ELSEWHERE = frozenset(
    {"model", "input", "instructions", "tools", "tool_choice", "stream",
     "store", "background", "previous_response_id", "conversation"}
)  # fmt: skip
"""Read by others: `request`, `tools`, `ask`."""
HINTS = frozenset(
    {"safety_identifier", "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options",
     "client_metadata", "service_tier", "context_management", "background_options", "thread",
     "image", "access_programs"}
)  # fmt: skip
"""They change no answer. vLLM caches prompts by itself and has one tier, and nothing here compacts a
conversation. `client_metadata` names installations and sessions, which are no business of a
server's."""

REFUSED: Mapping[str, str] = {
    "prompt": "prompt templates are not kept here; send `instructions` and `input`",
    "moderation": "nothing here moderates",
}
"""Left out, they would change the answer without a word."""
CHATS_OWN: Mapping[str, str] = {
    "messages": "`input`",
    "n": "one call for each answer",
    "max_tokens": "`max_output_tokens`",
    "max_completion_tokens": "`max_output_tokens`",
    "reasoning_effort": "`reasoning.effort`",
    "response_format": "`text.format`",
    "logprobs": "`top_logprobs` or `include`",
    "functions": "`tools`",
    "function_call": "`tool_choice`",
}
"""Chat's names for what the Responses API says otherwise: passed on, they would fight."""


def mapped(members: Mapping[str, msgspec.Raw]) -> Members:
    """The chat call's members, but for those that are read elsewhere. Raises InvalidRequest."""
    chat: Members = {}
    for name, raw in members.items():
        value = reading.decoded(raw, name) if name in _KNOWN else None
        if name in _MAPPING:
            chat |= _MAPPING[name](value) if value is not None else {}
        elif value is not None and name in REFUSED:
            reading.refuse(name, f"`{name}` cannot be honoured: {REFUSED[name]}.")
        elif value is not None and name in CHATS_OWN:
            reading.refuse(name, f"`{name}` is none of the Responses API: use {CHATS_OWN[name]}.")
        elif name not in ELSEWHERE and name not in _KNOWN:
            chat[name] = raw
    return chat


def _most_output_tokens(value: Any) -> Members:
    return {"max_completion_tokens": reading.whole_number(value, "max_output_tokens", 1)}


def _truncation(value: Any) -> Members:
    reading.one_of(value, "truncation", ("auto", "disabled"), "there is no other")
    return {"truncate_prompt_tokens": -1} if value == "auto" else {}


def _reasoning(value: Any) -> Members:
    wanted = effort(reading.mapping(value, "reasoning"))
    return {} if wanted is None else {"reasoning_effort": wanted}


def effort(reasoning: Mapping[str, Any]) -> str | None:
    """What is asked of the server. None: it decides, for it would refuse an effort it does not know."""
    wanted = reasoning.get("effort")
    return wanted if isinstance(wanted, str) and wanted in EFFORTS else None


def _text(value: Any) -> Members:
    """Its `verbosity` is a hint, which no vLLM server takes."""
    return _format(reading.mapping(value, "text").get("format"))


def _format(value: Any) -> Members:
    if value is None:
        return {}
    form = reading.mapping(value, "text.format")
    kinds = ("text", "json_object", "json_schema")
    kind = reading.one_of(form.get("type"), "text.format.type", kinds, "there is no other")
    if kind != "json_schema":
        return {"response_format": {"type": kind}} if kind == "json_object" else {}
    reading.text(form.get("name"), "text.format.name")
    reading.mapping(form.get("schema"), "text.format.schema")
    schema = {name: inner for name, inner in form.items() if name != "type" and inner is not None}
    return {"response_format": {"type": kind, "json_schema": schema}}


def _top_logprobs(value: Any) -> Members:
    number = reading.whole_number(value, "top_logprobs", 0, MOST_TOP_LOGPROBS)
    return {"logprobs": True, "top_logprobs": number} if number else {}


def _include(value: Any) -> Members:
    """A server has nothing else to include than logprobs. Reasoning is sealed by `output`."""
    return {"logprobs": True} if LOGPROBS in reading.sequence(value, "include") else {}


def _metadata(value: Any) -> Members:
    pairs = reading.mapping(value, "metadata")
    if len(pairs) > MOST_METADATA_PAIRS:
        reading.refuse("metadata", f"`metadata` holds more than {MOST_METADATA_PAIRS} pairs.")
    for name, text in pairs.items():
        reading.text(text, f"metadata.{reading.cut(name)}")
        if len(name) > MOST_METADATA_NAME_CHARACTERS or len(text) > MOST_METADATA_VALUE_CHARACTERS:
            reading.refuse(
                "metadata",
                f"A name in `metadata` has at most {MOST_METADATA_NAME_CHARACTERS} characters, a"
                f" value {MOST_METADATA_VALUE_CHARACTERS}.",
            )
    return {}


def _stream_options(value: Any) -> Members:
    """Nothing here pads events, and a stream always ends with the usage."""
    reading.mapping(value, "stream_options")
    return {}


def _most_tool_calls(value: Any) -> Members:
    reading.whole_number(value, "max_tool_calls", 0)  # counts hosted tools, of which there are none
    return {}


_MAPPING: Mapping[str, Callable[[Any], Members]] = {
    "max_output_tokens": _most_output_tokens,
    "max_tool_calls": _most_tool_calls,
    "truncation": _truncation,
    "reasoning": _reasoning,
    "text": _text,
    "top_logprobs": _top_logprobs,
    "include": _include,
    "metadata": _metadata,
    "stream_options": _stream_options,
}
_KNOWN = _MAPPING.keys() | REFUSED.keys() | CHATS_OWN.keys() | HINTS
