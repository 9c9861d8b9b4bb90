"""Custom tools: their input is free text, carried as the one string of a function's arguments. Pure.

A model writes `{"input": "..."}`. What it writes may be cut short, or hold a line break that JSON
forbids; as much of the string as can be read is the input. What is no such object at all is the
input as it stands.
"""

from __future__ import annotations

import json
import re

import msgspec

MEMBER = "input"
PARAMETERS = {
    "type": "object",
    "properties": {MEMBER: {"type": "string", "description": "The whole input, as plain text."}},
    "required": [MEMBER],
    "additionalProperties": False,
}

_OPENING = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_MOST_OPENING_CHARACTERS = 200
_ESCAPE_CHARACTERS = len(r"\ud83d\ude00")
"""What is held back and as long as this is no half escape: it is none at all."""
_READABLE = re.compile(
    r'(?:[^"\\]|\\["\\/bfnrt]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+"
)


def as_arguments(text: str) -> str:
    return msgspec.json.encode({MEMBER: text}).decode()


def from_arguments(arguments: str) -> str:
    reader = InputReader()
    reader.feed(arguments)
    reader.end()
    return reader.input


class InputReader:
    """The input while its arguments arrive: every piece is read once."""

    def __init__(self) -> None:
        self._read: list[str] = []
        self._held = ""
        """What cannot be read yet: the opening, or half an escape."""
        self._inside = False
        self._closed = False
        self._strange: list[str] | None = None
        """All pieces, once they are clear to begin otherwise."""

    @property
    def input(self) -> str:
        return "".join(self._read)

    def feed(self, piece: str) -> str:
        """The text that `piece` adds to the input."""
        if self._strange is not None:
            self._strange.append(piece)
        if self._strange is not None or self._closed:
            return ""
        self._held += piece
        return self._readable() if self._inside or self._opened() else ""

    def end(self) -> str:
        """The text that is still to be added once all has arrived."""
        if self._inside:
            return ""
        added = _only_string("".join(self._strange or [self._held]))
        self._read.append(added)
        return added

    def _opened(self) -> bool:
        opening = _OPENING.match(self._held[:_MOST_OPENING_CHARACTERS])
        if opening is not None:
            self._held = self._held[opening.end() :]
            self._inside = True
        elif len(self._held) >= _MOST_OPENING_CHARACTERS:
            self._strange = [self._held]
        return self._inside

    def _readable(self) -> str:
        held = self._held
        end = _readable_end(held)
        added, self._held = _unescaped(held[:end]), held[end:]
        self._closed = self._held.startswith('"') or len(self._held) >= _ESCAPE_CHARACTERS
        self._read.append(added)
        return added


def _readable_end(text: str) -> int:
    match = _READABLE.match(text)
    return match.end() if match is not None else 0


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    read: str = json.loads(f'"{text}"', strict=False)  # models leave line breaks unescaped
    return read


def _only_string(arguments: str) -> str:
    """The input of arguments in an unusual order, else the arguments themselves."""
    try:
        value = msgspec.json.decode(arguments)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return arguments
    inner = value.get(MEMBER) if isinstance(value, dict) else None
    return inner if isinstance(inner, str) else arguments
