"""What passes between the views and the store: frozen values. Pure.

JSON is bytes here, exactly as it came or as it is to be answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

import msgspec

Order = Literal["asc", "desc"]
MOST_ID_CHARACTERS = 512
MOST_CONTEXT_ITEMS = 10_000
"""What can be continued holds no more. So no copy does: it is of no use, and long in the writing."""
MOST_QUOTED_CHARACTERS = 200
ITEM_BYTES = 400
"""About what an item takes in memory beside its bytes, while it waits and can be found."""
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
        return len(self.body) + self.items_bytes + ITEM_BYTES * self.count

    @property
    def items_bytes(self) -> int:
        """Of its items, input and output."""
        return sum(map(len, self.items)) + sum(map(len, self.output))

    @property
    def count(self) -> int:
        """How many items it has, input and output."""
        return len(self.items) + len(self.output)


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
    queued_copies: int = 10_000
    queued_bytes: int = 64 * 2**20
    """What waits in memory and in no spool; more than that is dropped."""
    held_bytes: int = 32 * 2**20
    """Of what stands in the spool, so much is in memory as well."""
    batch_copies: int = 200
    batch_bytes: int = 8 * 2**20
    """What is written in one transaction, but for a single longer copy."""
    settle_seconds: float = 5.0
    """The end of an answer waits for its commit so long, while the database takes what comes."""
    slow_seconds: float = 1.0
    """A batch that takes longer: the database is slow, and no answer waits for its commit."""
    disk_seconds: float = 1.0
    """The end of an answer waits for the spool so long, while the database is slow or gone."""
    waiting_jobs: int = 200
    lease_seconds: float = 15.0
    lease_check_seconds: float = 7.5
    """Leases that have run out are looked for this often."""
    looks: int = 3
    """At what is not there: another process may be writing it this moment."""
    look_again_seconds: float = 0.15
    pauses_seconds: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 1.0)
    """Before each further try to write a batch; the last one is repeated."""


class _Identified(msgspec.Struct):
    id: str | None = None
    type: str | None = None


_IDENTIFIED = msgspec.json.Decoder(_Identified)


def is_id(text: str) -> bool:
    """Whether something can be kept by this id."""
    return 0 < len(text) <= MOST_ID_CHARACTERS and text.isprintable()


def quoted(id: str) -> str:
    """As messages repeat what a caller sent as an id: its beginning, if it is long."""
    return repr(id[:MOST_QUOTED_CHARACTERS])


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
