"""A create call -> a chat completion, and the way back for its one answer. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.abilities import NO_ABILITIES, Ability
from gateway.translation import CHAT, EventStream, Stamp, Translation
from gateway.translation.documents import NO_PDFS, PdfTexts
from gateway.translation.responses import answer, items, options, parts, reading, tools
from gateway.translation.responses.echo import Echo
from gateway.translation.responses.frame import Frame
from gateway.translation.responses.output import Manner
from gateway.translation.responses.stream import ChatStream
from gateway.translation.responses.tool_choice import Tools, chosen

_FILE = b"file_data"
_WITHOUT_A_PROMPT = frozenset({"add_generation_prompt", "continue_final_message"})


@dataclass(slots=True)
class ChatCall:
    """A Translation to chat completions."""

    path: str
    body: bytes = field(repr=False)
    frame: Frame = field(repr=False)
    manner: Manner = field(repr=False)
    new_id: Callable[[str], str] = field(repr=False)
    uses: frozenset[Ability] = NO_ABILITIES

    def whole(self, answer_body: bytes) -> bytes:
        return answer.translated(answer_body, self.frame, self.manner, self.new_id)

    def stream(self) -> EventStream:
        return ChatStream(self.frame, self.manner, self.new_id)


def to_chat(
    members: Mapping[str, msgspec.Raw],
    model: str,
    stamp: Stamp,
    echo: Echo,
    *,
    context_length: int = 0,
    pdfs: PdfTexts = NO_PDFS,
) -> Translation:
    """The call as a chat completion of `model`.

    The first `context_length` items of `input` are not the client's own, as `expanded` put them
    there: a refusal then counts from its own first one. Raises InvalidRequest.
    """
    listed = read_items(members)
    described = tools.read(_value(members, "tools"), listed)
    toolbox = chosen(_value(members, "tool_choice"), described)
    chat = options.mapped(members)
    kept = "previous_response_id" if echo.conversation is None else "conversation"
    where = naming(context_length, kept)
    body: dict[str, Any] = {"model": model, **prompt(members, listed, chat, where, pdfs)}
    body |= chat | toolbox.members()
    if reading.flag(_value(members, "stream"), "stream", False):
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    frame = Frame.of(members, model, stamp, echo, tools=described.kept)
    manner = Manner(toolbox, _seals_reasoning(members), bool(chat.get("logprobs")))
    return ChatCall(CHAT, reading.encoded(body, "input"), frame, manner, stamp.new_id)


def kept_tools(members: Mapping[str, msgspec.Raw]) -> Sequence[Any]:
    """The call's `tools` without those that are left out. Raises InvalidRequest."""
    return tools.read(_value(members, "tools"), ()).kept


def read_tools(members: Mapping[str, msgspec.Raw], listed: Sequence[Any]) -> Tools:
    """The tools of the call, and those that the items of its input add."""
    described = tools.read(_value(members, "tools"), listed)
    return chosen(_value(members, "tool_choice"), described)


def read_items(members: Mapping[str, msgspec.Raw]) -> list[Any]:
    """The input, a string as the one message that it is."""
    given = _value(members, "input")
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": given}]
    if not isinstance(given, list):
        reading.refuse("input", "`input` must be a string or a list of items.")
    return given


def pdfs(members: Mapping[str, msgspec.Raw]) -> list[str]:
    """The PDFs in a call's input, each once, in base64. Raises InvalidRequest."""
    if _FILE not in bytes(memoryview(members.get("input", b""))):
        return []
    return list(dict.fromkeys(parts.pdfs_in(_value(members, "input"))))


def naming(context_length: int, kept: str) -> Callable[[int], str]:
    """What to blame for an item: its place in the client's input, or `kept`, where it came from."""

    def where(index: int) -> str:
        return kept if index < context_length else f"input[{index - context_length}]"

    return where


def prompt(
    members: Mapping[str, msgspec.Raw],
    listed: list[Any],
    chat: Mapping[str, Any],
    where: Callable[[int], str],
    pdfs: PdfTexts,
) -> dict[str, Any]:
    """The messages, and whether the last of them is to be gone on with."""
    instructions = reading.optional_text(_value(members, "instructions"), "instructions")
    messages = items.messages(instructions, listed, where, pdfs)
    if not messages:
        reading.refuse("input", "There is nothing to answer: `input` is empty.")
    if items.is_unfinished(listed) and not chat.keys() & _WITHOUT_A_PROMPT:
        goes_on = {"add_generation_prompt": False, "continue_final_message": True}
        return {"messages": messages, **goes_on}
    return {"messages": messages}


def _seals_reasoning(members: Mapping[str, msgspec.Raw]) -> bool:
    return options.SEALED_REASONING in (_value(members, "include") or ())


def _value(members: Mapping[str, msgspec.Raw], name: str) -> Any:
    raw = members.get(name)
    return None if raw is None else reading.decoded(raw, name)
