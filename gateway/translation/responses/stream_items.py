"""Output items while they arrive: the events that open, fill and close each. Pure.

A delta's bytes but for the text and the number are made once, when its item opens.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.chat import ObjectEnd
from gateway.translation.responses import output
from gateway.translation.responses.freeform import InputReader
from gateway.translation.responses.output import Item, Logprob, Manner
from gateway.translation.responses.tools import Tool

Told = tuple[str, dict[str, Any]]
"""An event's type and its members, but for the sequence number."""


def delta_head(type: str, item_id: str, index: int, *, part: bool) -> bytes:
    """A delta event up to its text."""
    content = ',"content_index":0' if part else ""
    return (
        f'event: {type}\ndata: {{"type":"{type}","item_id":"{item_id}",'
        f'"output_index":{index}{content},"delta":'
    ).encode()


class Spoken:
    """A message or a reasoning item: text in one part."""

    delta: str
    done: str

    def __init__(self, id: str, index: int, manner: Manner) -> None:
        self.id, self.index, self.manner = id, index, manner
        self.head = delta_head(self.delta, id, index, part=True)
        self.texts: list[str] = []
        self.logprobs: list[Logprob] = []
        self.status = "in_progress"

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def item(self) -> Item:
        raise NotImplementedError

    def empty(self) -> Item:
        """The item before it has any part."""
        raise NotImplementedError

    def part(self, text: str) -> Item:
        raise NotImplementedError

    def finished(self, at: dict[str, Any]) -> dict[str, Any]:
        return {**at, "text": self.text}

    def opening(self) -> list[Told]:
        at = {"item_id": self.id, "output_index": self.index, "content_index": 0}
        return [
            ("response.output_item.added", {"output_index": self.index, "item": self.empty()}),
            ("response.content_part.added", {**at, "part": self.part("")}),
        ]

    def closing(self) -> list[Told]:
        at = {"item_id": self.id, "output_index": self.index, "content_index": 0}
        return [
            (self.done, self.finished(at)),
            ("response.content_part.done", {**at, "part": self.part(self.text)}),
            ("response.output_item.done", {"output_index": self.index, "item": self.item()}),
        ]


class SpokenText(Spoken):
    delta, done = "response.output_text.delta", "response.output_text.done"

    def empty(self) -> Item:
        return output.message(self.id, self.status, [])

    def part(self, text: str) -> Item:
        return output.text_part(text, self.logprobs)

    def finished(self, at: dict[str, Any]) -> dict[str, Any]:
        return {**at, "text": self.text, "logprobs": without_bytes(self.logprobs)}

    def item(self) -> Item:
        return output.message(self.id, self.status, [self.part(self.text)])


class SpokenReasoning(Spoken):
    delta, done = "response.reasoning_text.delta", "response.reasoning_text.done"

    def empty(self) -> Item:
        return output.reasoning(self.id, self.status, [], None)

    def part(self, text: str) -> Item:
        return output.reasoning_part(text)

    def item(self) -> Item:
        sealed = self.text if self.manner.seals_reasoning else None
        return output.reasoning(self.id, self.status, [self.part(self.text)], sealed)


class Called:
    """A call of a function; of a custom tool, see below."""

    delta = "response.function_call_arguments.delta"
    done, said_as = "response.function_call_arguments.done", "arguments"

    def __init__(self, id: str, index: int, call_id: str, tool: Tool) -> None:
        self.id, self.index, self.call_id, self.tool = id, index, call_id, tool
        self.head = delta_head(self.delta, id, index, part=False)
        self.pieces: list[str] = []
        self.status = "in_progress"
        self._end = ObjectEnd()
        self._looked_at = 0
        self._is_object: bool | None = None

    def add(self, piece: str) -> str:
        """The delta that `piece` of the arguments makes."""
        self.pieces.append(piece)
        return piece

    def last(self) -> str:
        """The delta that is left once all has arrived."""
        return ""

    @property
    def said(self) -> str:
        return "".join(self.pieces)

    def is_whole(self) -> bool:
        """Whether the arguments are an object that is closed: more of them would be no JSON.

        Each piece is looked at once, and all of them are decoded once at most.
        """
        if self._looked_at < len(self.pieces):
            self._end.feed("".join(self.pieces[self._looked_at :]))
            self._looked_at = len(self.pieces)
        if not self._end.is_reached:
            return False
        if self._is_object is None:
            self._is_object = _is_object("".join(self.pieces))
        return self._is_object

    def item(self) -> Item:
        return output.call(self.id, self.status, self.call_id, self.tool, self.said)

    def opening(self) -> list[Told]:
        return [("response.output_item.added", {"output_index": self.index, "item": self.item()})]

    def closing(self) -> list[Told]:
        at = {"item_id": self.id, "output_index": self.index, self.said_as: self.said}
        return [
            (self.done, {**at, "name": self.tool.name}),
            ("response.output_item.done", {"output_index": self.index, "item": self.item()}),
        ]


class CalledCustom(Called):
    """Its arguments carry a text, which is what the client is told."""

    delta = "response.custom_tool_call_input.delta"
    done, said_as = "response.custom_tool_call_input.done", "input"

    def __init__(self, id: str, index: int, call_id: str, tool: Tool) -> None:
        super().__init__(id, index, call_id, tool)
        self._input = InputReader()

    def add(self, piece: str) -> str:
        self.pieces.append(piece)
        return self._input.feed(piece)

    def last(self) -> str:
        return self._input.end()

    @property
    def said(self) -> str:
        return self._input.input


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(arguments), dict)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False


def without_bytes(entries: list[Logprob]) -> list[dict[str, Any]]:
    """Logprobs as events tell them."""
    return [
        {
            "token": entry.token,
            "logprob": entry.logprob,
            "top_logprobs": [
                {"token": top.token, "logprob": top.logprob} for top in entry.top_logprobs
            ],
        }
        for entry in entries
    ]
