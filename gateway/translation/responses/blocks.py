"""A stream's events as the bytes they came in, for those that pass them on untouched. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from gateway import sse
from gateway.translation.chat import UNREADABLE

_BOUNDARY = re.compile(rb"\n\r?\n|\r\r")
_LONGEST_BOUNDARY_BYTES = 4

LIFECYCLE = frozenset(
    f"response.{state}".encode()
    for state in ("created", "queued", "in_progress", "completed", "incomplete", "failed")
)
"""The events that hold a response object."""


class Blocks:
    """Bytes, cut anywhere, to whole events with all their bytes. Holds one unfinished event."""

    __slots__ = ("_held", "_most_bytes")

    def __init__(self, most_bytes: int = sse.MOST_EVENT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held = bytearray()

    @property
    def held_bytes(self) -> int:
        return len(self._held)

    def feed(self, piece: bytes) -> Sequence[bytes]:
        """The events that `piece` completes. Raises EventTooLong; nothing may be fed after that."""
        held = self._held
        searched = max(len(held) - _LONGEST_BOUNDARY_BYTES, 0)
        held += piece
        ends = [boundary.end() for boundary in _BOUNDARY.finditer(held, searched)]
        blocks = [bytes(held[begun:end]) for begun, end in pairwise((0, *ends))]
        if ends:
            del held[: ends[-1]]
        if len(held) > self._most_bytes:
            raise sse.EventTooLong(f"an event is longer than {self._most_bytes} bytes")
        return blocks

    def rest(self) -> bytes:
        """What is of no whole event."""
        rest = bytes(self._held)
        self._held.clear()
        return rest


def name_of(block: bytes) -> bytes:
    """The event's name, as its first line or the `type` in its data says."""
    if block.startswith(b"event:"):
        return block[6 : _line_end(block)].strip()
    return _typed(data_of(block)) if b"response." in block else b""


def data_of(block: bytes) -> bytes:
    return b"".join(event.data for event in sse.Parser(len(block)).feed(block))


class _Event(msgspec.Struct):
    type: str = ""
    sequence_number: int = -1


_EVENTS = msgspec.json.Decoder(_Event)


def sequence_number(block: bytes) -> int:
    """Of the event in `block`, or -1."""
    return _read(data_of(block)).sequence_number


def _typed(data: bytes) -> bytes:
    return _read(data).type.encode("utf-8", "replace")


def _read(data: bytes) -> _Event:
    try:
        return _EVENTS.decode(data)
    except UNREADABLE:
        return _Event()


def _line_end(block: bytes) -> int:
    found = re.search(rb"[\r\n]", block)
    return found.start() if found else len(block)
