"""The format of a spool's file: records, one behind the other. Pure.

A record is a head, a mark that says whose response it is, and the response. All but the head's state
is under a checksum, so a record that was cut short by a crash is known as one.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntFlag
from uuid import UUID

import msgspec

from gateway.state.values import Copy

_HEAD = struct.Struct("<4sBIII")
HEAD_BYTES = _HEAD.size
STATE_AT = 4
"""Where in a record its state stands, which alone is written over."""
MOST_RECORD_BYTES = 2**31
_MAGIC = b"AUR1"

_ENCODER = msgspec.msgpack.Encoder()


class State(IntFlag):
    """What has become of a record."""

    WAITING = 0
    WRITTEN = 1
    """It is in the database, or lost for a reason of its own."""
    DELETED = 2
    """Its owner has deleted it."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Whose response a record is, and of which conversation."""

    owner: UUID
    id: str
    conversation: str | None


class _Rest(msgspec.Struct, array_like=True):
    """What a copy has beside its mark."""

    body: bytes
    status: str
    items: tuple[bytes, ...]
    output: tuple[bytes, ...]
    previous: str | None
    background: bool


_MARKS = msgspec.msgpack.Decoder(tuple[bytes, str, str | None])
_RESTS = msgspec.msgpack.Decoder(_Rest)


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a record: how long its parts are."""

    state: State
    checksum: int
    mark_bytes: int
    rest_bytes: int

    @property
    def record_bytes(self) -> int:
        return HEAD_BYTES + self.mark_bytes + self.rest_bytes


def encoded(copy: Copy) -> bytes:
    """The record of `copy`, which waits."""
    mark = _ENCODER.encode((copy.owner.bytes, copy.id, copy.conversation))
    rest = _ENCODER.encode(
        _Rest(copy.body, copy.status, copy.items, copy.output, copy.previous, copy.background)
    )
    checksum = zlib.crc32(rest, zlib.crc32(mark))
    return _HEAD.pack(_MAGIC, State.WAITING, checksum, len(mark), len(rest)) + mark + rest


def head_of(data: bytes) -> Head | None:
    """None: `data` does not begin with a record."""
    if len(data) < HEAD_BYTES:
        return None
    magic, state, checksum, mark_bytes, rest_bytes = _HEAD.unpack_from(data)
    if magic != _MAGIC or max(mark_bytes, rest_bytes) > MOST_RECORD_BYTES:
        return None
    return Head(State(state & 3), checksum, mark_bytes, rest_bytes)


def mark_of(data: bytes) -> Mark | None:
    """None: it is cut short."""
    try:
        owner, id, conversation = _MARKS.decode(data)
        return Mark(UUID(bytes=owner), id, conversation)
    except (msgspec.DecodeError, ValueError):
        return None


def is_whole(head: Head, parts: bytes) -> bool:
    """Whether these are the mark and the rest that were written behind `head`."""
    is_long_enough = len(parts) == head.mark_bytes + head.rest_bytes
    return is_long_enough and zlib.crc32(parts) == head.checksum


def copy_of(record: bytes) -> Copy | None:
    """None: it is not whole."""
    head = head_of(record)
    if head is None or not is_whole(head, record[HEAD_BYTES:]):
        return None
    end = HEAD_BYTES + head.mark_bytes
    mark = mark_of(record[HEAD_BYTES:end])
    if mark is None:
        return None
    rest = _RESTS.decode(record[end:])
    return Copy(
        mark.owner,
        mark.id,
        rest.body,
        rest.status,
        items=rest.items,
        output=rest.output,
        previous=rest.previous,
        conversation=mark.conversation,
        background=rest.background,
    )
