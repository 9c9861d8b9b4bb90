"""What passes between the views and the store: frozen values. Pure.

JSON is bytes here, exactly as it came or as it is to be answered.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

MOST_ID_CHARACTERS = 512
RUNNING = ("queued", "in_progress")
"""The statuses of a response that is not final yet; every other one is."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A response as it is to be kept: its body, its own input items, its output items.

    `previous` is the response that it continues, `conversation` the conversation that it was made
    in and that its items are added to.
    """

    owner: UUID
    id: str
    body: bytes = field(repr=False)
    status: str
    items: tuple[bytes, ...] = field(default=(), repr=False)
    output: tuple[bytes, ...] = field(default=(), repr=False)
    previous: str | None = None
    conversation: str | None = None
    background: bool = False

    @property
    def size_bytes(self) -> int:
        """About what it takes in memory."""
        return len(self.body) + sum(map(len, self.items)) + sum(map(len, self.output))


@dataclass(frozen=True, slots=True)
class Kept:
    """A response as it stands now: `body` is what `GET /v1/responses/{id}` answers."""

    id: str
    body: bytes = field(repr=False)
    status: str
    background: bool

    @property
    def is_final(self) -> bool:
        return self.status not in RUNNING


@dataclass(frozen=True, slots=True)
class Page:
    """Items in the order asked for. `has_more`: in the direction that was read there are others."""

    items: list[bytes] = field(repr=False)
    has_more: bool


@dataclass(frozen=True, slots=True)
class Conversation:
    id: str
    metadata: Mapping[str, str] = field(repr=False)
    created: int
    """In seconds since 1970."""


@dataclass(frozen=True, slots=True)
class StateLimits:
    """How long a look-up may take, and how much may wait for the database in one process."""

    state_seconds: float = 5.0
    queued_copies: int = 1000
    queued_bytes: int = 64 * 2**20
    waiting_jobs: int = 200
    lease_seconds: float = 15.0
    pauses_seconds: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 8.0)
    """Before each further try to write a copy; after the last it is lost."""


class _Identified(msgspec.Struct):
    id: str | None = None
    type: str | None = None


_IDENTIFIED = msgspec.json.Decoder(_Identified)


_PREFIXES = {None: "msg", "message": "msg", "function_call": "fc", "reasoning": "rs"}


def with_id(item: bytes) -> bytes:
    """`item`, with an `id` made for it where it has none that it could be found by."""
    try:
        kind = _IDENTIFIED.decode(item).type
        members = msgspec.json.decode(item, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return item
    if item_id(item) or kind == "item_reference":
        return item
    made = f"{_PREFIXES.get(kind, 'item')}_{uuid.uuid4().hex}"
    rest = {name: value for name, value in members.items() if name != "id"}
    return msgspec.json.encode({"id": made, **rest})


def is_id(text: str) -> bool:
    """Whether something can be kept by this id."""
    return 0 < len(text) <= MOST_ID_CHARACTERS and text.isprintable()


def item_id(item: bytes) -> str:
    """The item's own `id`; "" where it has none that it could be found by.

    An `item_reference` has none: its `id` is that of the item that it stands for.
    """
    try:
        found = _IDENTIFIED.decode(item)
    except msgspec.DecodeError:
        return ""
    if found.id is None or found.type == "item_reference":
        return ""
    return found.id if is_id(found.id) else ""
