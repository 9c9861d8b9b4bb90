"""Copies that wait to be written: kept behind the calls, bounded, found by their id meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from django.db import DataError
from django.db import Error as DatabaseFailure

from gateway.errors import GatewayError, StateUnavailable
from gateway.state.lane import named
from gateway.state.values import MOST_CONTEXT_ITEMS, Copy, StateLimits, is_id
from gateway.state.waiting_items import WaitingItems

TELL_SECONDS = 10.0

log = logging.getLogger("aurora.state")


class Losses:
    """Counts the copies that could not be kept. Tells of them at most every `TELL_SECONDS`."""

    def __init__(self) -> None:
        self.count = 0
        self._untold, self._told_at = 0, -TELL_SECONDS

    def add(self, reason: str, count: int = 1) -> None:
        self.count += count
        self._untold += count
        if time.monotonic() - self._told_at >= TELL_SECONDS:
            self.tell(reason)

    def tell(self, reason: str) -> None:
        if self._untold:
            log.error("responses that were not kept: %d; the last: %s", self._untold, reason)
        self._untold, self._told_at = 0, time.monotonic()


@dataclass(slots=True, eq=False)
class Entry:
    """A copy that waits. `gone` is set once it waits no more, written or lost."""

    copy: Copy
    is_deleted: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


class Backlog:
    """Belongs to one event loop. `write` writes a copy; True: as one that is deleted already."""

    def __init__(
        self,
        limits: StateLimits,
        write: Callable[[Copy, bool], Awaitable[None]],
        delete: Callable[[UUID, str], Awaitable[None]],
    ) -> None:
        self._limits, self._write, self._delete = limits, write, delete
        self._entries: dict[tuple[UUID, str], Entry] = {}
        self._items = WaitingItems()
        self._held_bytes = 0
        self._filled = asyncio.Event()
        self.losses = Losses()

    def add(self, copy: Copy) -> None:
        """Returns at once. What cannot be kept is counted as lost."""
        reason = self._refusal(copy)
        if reason:
            self.losses.add(reason)
            return
        self._entries[copy.owner, copy.id] = Entry(copy)
        self._items.add(copy)
        self._held_bytes += copy.size_bytes
        self._filled.set()

    def _refusal(self, copy: Copy) -> str:
        if not is_id(copy.id):
            return "its id is none that could be kept"
        if copy.count > MOST_CONTEXT_ITEMS:
            return f"it has {copy.count} items, and could not be continued"
        if (copy.owner, copy.id) in self._entries:
            return "one with its id waits already"
        if len(self._entries) >= self._limits.queued_copies:
            return f"{len(self._entries)} others wait to be written"
        if self._held_bytes + copy.size_bytes > self._limits.queued_bytes:
            return f"{self._held_bytes} bytes wait to be written"
        return ""

    def find(self, owner: UUID, id: str) -> Entry | None:
        """The entry, deleted ones too."""
        return self._entries.get((owner, id))

    def of_conversation(self, owner: UUID, id: str) -> Entry | None:
        """The last that is to be added to this conversation."""
        return next((e for e in self._newest_first() if _is_in(e.copy, owner, id)), None)

    def item(self, owner: UUID, id: str) -> bytes | None:
        """The newest item with this id."""
        return self._items.newest(owner, id)

    def mark_deleted(self, entry: Entry) -> None:
        """Its items are found no more."""
        entry.is_deleted = True
        self._items.remove(entry.copy)

    def _newest_first(self) -> Iterator[Entry]:
        return reversed(self._entries.values())

    async def write_all(self) -> None:
        """Write what comes, in the order in which it came. Runs until it is cancelled."""
        while True:
            await self._filled.wait()
            await self._write_first(next(iter(self._entries.values())))

    async def _write_first(self, entry: Entry) -> None:
        reason = await self._written(entry)
        if reason:
            self.losses.add(reason)
        self._drop(entry)

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry.copy.owner, entry.copy.id]
        self._items.remove(entry.copy)
        self._held_bytes -= entry.copy.size_bytes
        if not self._entries:
            self._filled.clear()
        entry.gone.set()

    async def _written(self, entry: Entry) -> str:
        """Why it is lost; "" when it is not."""
        reason = ""
        for pause_seconds in (0.0, *self._limits.pauses_seconds):
            await asyncio.sleep(pause_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
            try:
                return await self._tried(entry)
            except StateUnavailable as error:
                reason = str(error)
            except (GatewayError, DataError) as error:  # the next try would end alike
                return str(error) if isinstance(error, GatewayError) else named(error)
            except DatabaseFailure as error:
                reason = named(error)
            except Exception as error:  # whatever is wrong with this copy, the next must be written
                log.exception("a response could not be written")
                return type(error).__name__
        return reason

    async def _tried(self, entry: Entry) -> str:
        is_deleted = entry.is_deleted
        await self._write(entry.copy, is_deleted)
        if entry.is_deleted and not is_deleted:
            await self._delete(entry.copy.owner, entry.copy.id)
        return ""

    async def emptied(self, seconds: float) -> bool:
        """Whether all that waits is gone within `seconds`."""
        last = next(self._newest_first(), None)
        return last is None or await until_gone(last, seconds)

    def give_up(self, reason: str) -> None:
        if self._entries:
            self.losses.add(reason, len(self._entries))
        for entry in list(self._entries.values()):
            self._drop(entry)
        self.losses.tell(reason)


async def until_gone(entry: Entry, seconds: float) -> bool:
    """Whether `entry` is written or lost within `seconds`."""
    try:
        await asyncio.wait_for(entry.gone.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _is_in(copy: Copy, owner: UUID, conversation: str) -> bool:
    return copy.owner == owner and copy.conversation == conversation
