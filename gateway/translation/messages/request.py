"""A Messages call as a call of vLLM's: chat completions, or /tokenize."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw, Struct

from gateway.abilities import Ability
from gateway.calls import check_values
from gateway.errors import UnknownThread
from gateway.translation import raw
from gateway.translation.documents import PDF, PdfTexts
from gateway.translation.messages import conversation, echo, output, tools
from gateway.translation.messages.echo import NO_ECHO, Echo
from gateway.translation.raw import Json

READ = frozenset({
    "model", "messages", "system", "max_tokens", "stop_sequences", "stream", "metadata", "tools",
    "tool_choice", "thinking", "output_config", "output_format", "chat_template_kwargs",
})  # fmt: skip
"""What becomes something else in the chat call."""

HINTS = frozenset({
    "cache_control", "context_management", "service_tier", "speed", "inference_geo", "thread",
    "container", "mcp_servers", "fallbacks", "fallback_credit_token", "user_profile_id",
    "workspace_id", "billing_policy", "diagnostics", "betas", "anthropic_beta", "anthropic_version",
})  # fmt: skip
"""Says how Anthropic should run, bill or report a call: taken, and left out. `echo` says of which
the client learns that nothing was done."""

REFUSED = {
    "compaction": "cannot be done by a vLLM server, which would answer instead of summarising.",
    "n": "cannot be more than 1: an answer in Anthropic's shape holds one message.",
}
"""What would make another answer than the client asked for."""
_NAMES = {
    Ability.THINKING_BUDGET: "thinking_token_budget",
    Ability.EFFORT: "reasoning_effort",
}
_NOTHING = (b"null", b"[]", b"{}")
_IMPLIED = frozenset({"stream_options", "user"})
"""What Aurora makes of another member, whatever the client says beside it."""

TO_TOKENIZE = frozenset({
    "chat_template", "add_special_tokens", "add_generation_prompt", "continue_final_message",
    "media_io_kwargs", "mm_processor_kwargs",
})  # fmt: skip
"""The extras that change what the prompt is."""


NO_THREADS = "No thread is kept here. Send the whole conversation, without `thread`."


class _Thread(Struct):
    type: str = ""


class _Metadata(Struct):
    user_id: Raw = raw.NULL


_MAX_TOKENS = msgspec.json.Decoder(Annotated[int, Meta(ge=1)])
_ANY = msgspec.json.Decoder()
_BOOL = msgspec.json.Decoder(bool)
_STRINGS = msgspec.json.Decoder(list[str])
_THREAD = msgspec.json.Decoder(_Thread)
_METADATA = msgspec.json.Decoder(_Metadata)
_STREAM_OPTIONS = b'{"include_usage":true,"continuous_usage_stats":true}'


@dataclass(frozen=True, slots=True)
class Call:
    body: bytes
    uses: frozenset[Ability]
    echo: Echo = NO_ECHO


def to_chat(
    members: Mapping[str, Raw], model: str, pdfs: PdfTexts, lacking: frozenset[Ability]
) -> Call:
    """Raises InvalidRequest. What Messages do not know goes along as it is: vLLM's own extras."""
    given = _given(members)
    talk, asked = conversation.read(given, pdfs, lacking), output.read(given)
    made = _beginning(talk, model) | _limits(given)
    made |= tools.chat_members(given, tools.read(given, talk.tools))
    made |= asked.chat_members(given)
    hints = asked.hints(given, raw.read(_MAX_TOKENS, given["max_tokens"], "max_tokens"))
    made |= {_NAMES[hint]: value for hint, value in hints.items() if hint not in lacking}
    made |= _others(given)
    extras = {name: value for name, value in given.items() if name not in READ}
    for name in (made.keys() & extras.keys()) - _IMPLIED:
        raise raw.invalid(name, "is what Aurora makes of another member of this call: give one.")
    uses = (hints.keys() | talk.uses) - lacking
    body = raw.object_of(extras | made | _prefill(talk, extras))
    return Call(body, frozenset(uses), echo.read(members))


def to_tokenize(
    members: Mapping[str, Raw], model: str, pdfs: PdfTexts, lacking: frozenset[Ability]
) -> Call:
    """Raises InvalidRequest. The prompt is the same as that of the call that would follow."""
    given = _given(members)
    talk, asked = conversation.read(given, pdfs, lacking), output.read(given)
    made = _beginning(talk, model) | asked.prompt_members(given)
    chosen = tools.chat_members(given, tools.read(given, talk.tools))
    if "tools" in chosen:
        made["tools"] = chosen["tools"]
    extras = {name: value for name, value in given.items() if name in TO_TOKENIZE}
    return Call(raw.object_of(made | _prefill(talk, extras) | extras), talk.uses)


def check_thread(members: Mapping[str, Raw]) -> None:
    """Raises UnknownThread for a call that holds only what came after an answer, and leaves the
    conversation before it to the server: no vLLM server keeps one, and it would answer without."""
    thread = members.get("thread", raw.NULL)
    if raw.begins(thread, b"{") and raw.read(_THREAD, thread, "thread").type == "continue":
        raise UnknownThread(NO_THREADS, param="thread")


def pdfs(members: Mapping[str, Raw]) -> list[str]:
    """The PDFs in a call, each once, in base64. Raises InvalidRequest for a call of too many values."""
    turns = members.get("messages", raw.NULL)
    if PDF.encode() not in bytes(memoryview(turns)):
        return []
    check_values(members)
    return list(dict.fromkeys(_pdfs_in(raw.read(_ANY, turns, "messages"))))


def _pdfs_in(value: Any) -> Iterator[str]:
    """Every PDF within a decoded JSON value, in base64; one may come twice."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, list):
            left += each
        elif isinstance(each, dict):
            data = each.get("data")
            if each.get("media_type") == PDF and isinstance(data, str):
                yield data
            else:
                left += each.values()


def _given(members: Mapping[str, Raw]) -> dict[str, Json]:
    """What the client says: of Anthropic's members, null says nothing. Raises InvalidRequest."""
    check_values(members)
    given: dict[str, Json] = {}
    for name, value in members.items():
        if name in REFUSED:
            _refuse(name, value)
        elif name not in HINTS and not (name in READ and raw.is_null(value)):
            given[name] = value
    return given


def _refuse(name: str, value: Json) -> None:
    said = bytes(memoryview(value)).translate(None, b" \t\r\n")
    if said not in _NOTHING and (name, said) != ("n", b"1"):
        raise raw.invalid(name, REFUSED[name])


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
    user = _user(given.get("metadata", raw.NULL))
    if user is not None:
        made["user"] = user
    if "stream" in given:
        made["stream"] = given["stream"]
        if raw.read(_BOOL, given["stream"], "stream"):
            made["stream_options"] = _STREAM_OPTIONS
    return made


def _user(metadata: Json) -> Json | None:
    """Who asks, as a text: some clients send an object."""
    if not raw.begins(metadata, b"{"):
        return None
    id = raw.read(_METADATA, metadata, "metadata").user_id
    if raw.begins(id, b"{"):
        return raw.embedded(id, "metadata.user_id")
    return id if raw.is_text(id) else None


def _prefill(talk: conversation.Conversation, extras: Mapping[str, Json]) -> dict[str, Json]:
    """To go on from an assistant's text that stands last, as Anthropic's models do."""
    if not talk.continues or extras.keys() & {"continue_final_message", "add_generation_prompt"}:
        return {}
    return {"continue_final_message": b"true", "add_generation_prompt": b"false"}
