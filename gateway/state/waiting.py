"""What waits to be written, by its id, its conversation and its items; and how much of it there is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID

from gateway.state.spool import Found, Place
from gateway.state.values import Copy
from gateway.state.waiting_items import WaitingItems

K = TypeVar("K")
LEAST_CHARGED_BYTES = 4096
"""What the smallest copy counts in the spool: it takes some memory while it waits there."""


@dataclass(slots=True, eq=False)
class Entry:
    """A copy that waits. `gone` is set once it waits no more, written or lost."""

    owner: UUID
    id: str
    conversation: str | None
    size_bytes: int
    copy: Copy | None
    """None: it is in the spool alone."""
    place: Place | None = None
    """Where it stands in the spool."""
    is_spooling: bool = False
    """Whether it is about to be put there."""
    is_deleted: bool = False
    lost: str = ""
    """Why it is not kept."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    unheld: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once nothing of it is in memory: it is gone, or in the spool alone."""
    safe: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its answer may end: it is gone, or no commit is to be waited for."""

    @classmethod
    def of(cls, copy: Copy) -> Entry:
        return cls(copy.owner, copy.id, copy.conversation, copy.size_bytes, copy)

    @classmethod
    def found(cls, left: Found) -> Entry:
        """One that another process has left in its spool."""
        mark, size = left.mark, left.place.size_bytes
        entry = cls(mark.owner, mark.id, mark.conversation, size, None, left.place)
        entry.is_deleted = left.is_deleted
        return entry

    @property
    def key(self) -> tuple[UUID, str]:
        return self.owner, self.id

    def leave(self) -> None:
        self.gone.set()
        self.unheld.set()
        self.safe.set()


class Waiting:
    """Entries in the order in which they came. One step a look-up, however many there are."""

    def __init__(self) -> None:
        self._entries: dict[tuple[UUID, str], Entry] = {}
        self._turns: dict[tuple[UUID, str], dict[str, Entry]] = {}
        """By owner and conversation: those that are to be added to it, by their ids."""
        self._items = WaitingItems()
        self._spilled: dict[UUID, dict[str, Entry]] = {}
        """By owner: those whose items are not known here."""
        self.charged_bytes = 0
        """Of all."""
        self.held_bytes = 0
        """Of those in memory."""
        self.loose, self.loose_bytes = 0, 0
        """How many are in memory alone, with how many bytes."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def add(self, entry: Entry) -> None:
        self._entries[entry.key] = entry
        self.charged_bytes += _charge(entry)
        if entry.conversation is not None:
            turns = self._turns.setdefault((entry.owner, entry.conversation), {})
            turns[entry.id] = entry
        if entry.copy is None:
            self._spilled.setdefault(entry.owner, {})[entry.id] = entry
        else:
            self._items.add(entry.copy)
            self.held_bytes += entry.size_bytes
            self._count_loose(entry, 1)

    def remove(self, entry: Entry) -> None:
        del self._entries[entry.key]
        self.charged_bytes -= _charge(entry)
        if entry.conversation is not None:
            _taken(self._turns, (entry.owner, entry.conversation), entry.id)
        if entry.copy is None:
            _taken(self._spilled, entry.owner, entry.id)
        else:
            self._items.remove(entry.copy)
            self.held_bytes -= entry.size_bytes
            self._count_loose(entry, -1)

    def put_in_place(self, entry: Entry, place: Place) -> None:
        """It stands in the spool from now on."""
        self._count_loose(entry, -1)
        entry.place = place

    def spill(self, entry: Entry) -> None:
        """Of one that stands in the spool: let it go in memory."""
        if entry.copy is None:
            return
        self._items.remove(entry.copy)
        self.held_bytes -= entry.size_bytes
        entry.copy = None
        entry.unheld.set()
        self._spilled.setdefault(entry.owner, {})[entry.id] = entry

    def hide_items(self, entry: Entry) -> None:
        """Of one that is deleted."""
        if entry.copy is not None:
            self._items.remove(entry.copy)

    def _count_loose(self, entry: Entry, sign: int) -> None:
        if entry.place is None:
            self.loose += sign
            self.loose_bytes += sign * entry.size_bytes

    def has_room(self, copy: Copy, most_bytes: int) -> bool:
        return self.charged_bytes + _charge(copy) <= most_bytes

    def find(self, owner: UUID, id: str) -> Entry | None:
        return self._entries.get((owner, id))

    def newest(self) -> Entry | None:
        return next(reversed(self._entries.values()), None)

    def of_conversation(self, owner: UUID, id: str) -> Entry | None:
        """The last that is to be added to this conversation."""
        turns = self._turns.get((owner, id))
        return None if turns is None else next(reversed(turns.values()))

    def spilled(self, owner: UUID) -> Entry | None:
        """The newest of this owner whose items are not known here."""
        entries = self._spilled.get(owner)
        return None if entries is None else next(reversed(entries.values()))

    def item(self, owner: UUID, id: str) -> bytes | None:
        """The newest item with this id."""
        return self._items.newest(owner, id)


def _charge(what: Entry | Copy) -> int:
    return max(what.size_bytes, LEAST_CHARGED_BYTES)


def _taken(index: dict[K, dict[str, Entry]], key: K, id: str) -> None:
    entries = index[key]
    del entries[id]
    if not entries:
        del index[key]
