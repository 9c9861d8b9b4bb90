"""A Messages call as a call of vLLM's: chat completions, or /tokenize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.calls import check_values
from gateway.translation import raw
from gateway.translation.messages import conversation, output, tools
from gateway.translation.raw import Json

READ = frozenset({
    "model", "messages", "system", "max_tokens", "stop_sequences", "stream", "metadata", "tools",
    "tool_choice", "thinking", "output_config", "output_format", "context_management",
    "service_tier", "chat_template_kwargs",
})  # fmt: skip
"""What becomes something else in the chat call."""

WITHOUT_EFFECT = frozenset({
    "cache_control", "speed", "diagnostics", "betas", "anthropic_beta", "anthropic_version",
})  # fmt: skip
"""Says how Anthropic should run or report a call, and changes nothing that it answers."""

REFUSED = frozenset({
    "container", "mcp_servers", "compaction", "fallbacks", "fallback_credit_token", "thread",
    "inference_geo", "user_profile_id", "workspace_id", "billing_policy", "n",
})  # fmt: skip
"""What a vLLM server cannot do, or an answer in Anthropic's shape cannot hold."""
_NOTHING = (b"null", b"[]", b"{}")

TO_TOKENIZE = frozenset({
    "chat_template", "add_special_tokens", "add_generation_prompt", "continue_final_message",
    "media_io_kwargs", "mm_processor_kwargs",
})  # fmt: skip
"""The extras that change what the prompt is."""


class _Metadata(Struct):
    user_id: str | None = None


class _Edit(Struct):
    type: str


class _ContextManagement(Struct):
    edits: list[_Edit] = []


_MAX_TOKENS = msgspec.json.Decoder(Annotated[int, Meta(ge=1)])
_BOOL = msgspec.json.Decoder(bool)
_STRINGS = msgspec.json.Decoder(list[str])
_METADATA = msgspec.json.Decoder(_Metadata)
_SERVICE_TIER = msgspec.json.Decoder(Literal["auto", "standard_only"])
_CONTEXT_MANAGEMENT = msgspec.json.Decoder(_ContextManagement)
_STREAM_OPTIONS = b'{"include_usage":true,"continuous_usage_stats":true}'


@dataclass(frozen=True, slots=True)
class Call:
    body: bytes
    manages_context: bool = False
    """The client asked for edits of the context, and must be told that none were made."""


def to_chat(members: Mapping[str, Raw], model: str) -> Call:
    """Raises InvalidRequest. What Messages do not know goes along as it is: vLLM's own extras."""
    given = _given(members)
    talk, asked = conversation.read(given), output.read(given)
    made = _beginning(talk, model) | _limits(given)
    functions = tools.read(given, talk.loaded)
    if functions:
        made["tools"] = raw.array_of(functions)
    made |= tools.choice_members(given, functions)
    made |= asked.chat_members(given, raw.read(_MAX_TOKENS, given["max_tokens"], "max_tokens"))
    made |= _others(given)
    extras = {name: value for name, value in given.items() if name not in READ}
    for name in made.keys() & extras.keys():
        raise raw.invalid(name, "is what Aurora makes of another member of this call: give one.")
    return Call(raw.object_of(made | _prefill(talk, extras) | extras), _edited(given))


def to_tokenize(members: Mapping[str, Raw], model: str) -> Call:
    """Raises InvalidRequest. The prompt is the same as that of the call that would follow."""
    given = _given(members)
    talk, asked = conversation.read(given), output.read(given)
    made = _beginning(talk, model) | asked.prompt_members(given)
    functions = tools.read(given, talk.loaded)
    if functions:
        made["tools"] = raw.array_of(functions)
    extras = {name: value for name, value in given.items() if name in TO_TOKENIZE}
    return Call(raw.object_of(made | _prefill(talk, extras) | extras), _edited(given))


def _given(members: Mapping[str, Raw]) -> dict[str, Json]:
    """What the client says: of Anthropic's members, null says nothing. Raises InvalidRequest."""
    check_values(members)
    given: dict[str, Json] = {}
    for name, value in members.items():
        if name in REFUSED:
            _refuse(name, value)
        elif name not in WITHOUT_EFFECT and not (name in READ and raw.is_null(value)):
            given[name] = value
    return given


def _refuse(name: str, value: Json) -> None:
    said = bytes(memoryview(value)).translate(None, b" \t\r\n")
    if said not in _NOTHING and (name, said) != ("n", b"1"):
        raise raw.invalid(name, "cannot be honoured by a vLLM server.")


def _beginning(talk: conversation.Conversation, model: str) -> dict[str, Json]:
    return {"model": raw.text(model), "messages": talk.whole()}


def _limits(given: Mapping[str, Json]) -> dict[str, Json]:
    if "max_tokens" not in given:
        raise raw.invalid("max_tokens", "is missing.")
    made: dict[str, Json] = {"max_tokens": given["max_tokens"]}
    if "stop_sequences" in given:
        raw.read(_STRINGS, given["stop_sequences"], "stop_sequences")
        made["stop"] = given["stop_sequences"]
    return made


def _others(given: Mapping[str, Json]) -> dict[str, Json]:
    made: dict[str, Json] = {}
    if "metadata" in given:
        user = raw.read(_METADATA, given["metadata"], "metadata").user_id
        if user is not None:
            made["user"] = raw.text(user)
    if "service_tier" in given:
        raw.read(_SERVICE_TIER, given["service_tier"], "service_tier")
    if "stream" in given:
        made["stream"] = given["stream"]
        if raw.read(_BOOL, given["stream"], "stream"):
            made["stream_options"] = _STREAM_OPTIONS
    return made


def _prefill(talk: conversation.Conversation, extras: Mapping[str, Json]) -> dict[str, Json]:
    """To go on from an assistant's text that stands last, as Anthropic's models do."""
    if not talk.continues or extras.keys() & {"continue_final_message", "add_generation_prompt"}:
        return {}
    return {"continue_final_message": b"true", "add_generation_prompt": b"false"}


def _edited(given: Mapping[str, Json]) -> bool:
    """Whether the client asks for edits of the context. Raises InvalidRequest.

    Edits that clear old tool results or thinking save room in the prompt, and happen only past a
    threshold that Anthropic counts. Here none is made, the model reads all there is, and the
    answer says so (`applied_edits` is empty). What would put something else in place, such as
    a summary, is refused.
    """
    if "context_management" not in given:
        return False
    asked = raw.read(_CONTEXT_MANAGEMENT, given["context_management"], "context_management")
    for i, edit in enumerate(asked.edits):
        if not edit.type.startswith("clear_"):
            why = f"is {edit.type[:80]!r}: only edits that clear something can be taken."
            raise raw.invalid(f"context_management.edits[{i}].type", why)
    return True
