"""Copies that wait to be written: kept behind the calls, bounded, found by their id meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db import Error as DatabaseFailure

from gateway.errors import StateUnavailable
from gateway.state.batch import Write
from gateway.state.losses import Losses
from gateway.state.values import MOST_CONTEXT_ITEMS, Copy, StateLimits, is_id
from gateway.state.waiting_items import WaitingItems

log = logging.getLogger("aurora.state")


@dataclass(slots=True, eq=False)
class Entry:
    """A copy that waits. `gone` is set once it waits no more, written or lost."""

    copy: Copy
    is_deleted: bool = False
    lost: str = ""
    """Why it is not kept."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    safe: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once its answer may end: it is gone, or its safety is waited for in vain."""

    def leave(self) -> None:
        self.gone.set()
        self.safe.set()


class Backlog:
    """Belongs to one event loop.

    `write` writes a batch, and gives the reason why each is lost, "" for what is kept. While it fails,
    what waits goes on waiting: nothing is lost but what finds no room.
    """

    def __init__(
        self,
        limits: StateLimits,
        write: Callable[[Sequence[Write]], Awaitable[list[str]]],
        delete: Callable[[UUID, str], Awaitable[None]],
    ) -> None:
        self._limits, self._write, self._delete = limits, write, delete
        self._entries: dict[tuple[UUID, str], Entry] = {}
        self._items = WaitingItems()
        self._held_bytes = 0
        self._filled = asyncio.Event()
        self._is_slow = False
        self.losses = Losses()

    def add(self, copy: Copy) -> Entry:
        """Returns at once. What cannot be kept is counted as lost, and its entry says why."""
        reason = self._refusal(copy)
        if reason:
            self.losses.add(reason)
            return lost(copy, reason)
        entry = Entry(copy)
        self._entries[copy.owner, copy.id] = entry
        self._items.add(copy)
        self._held_bytes += copy.size_bytes
        self._filled.set()
        self._note_safety(entry)
        return entry

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

    async def until_safe(self, entry: Entry) -> None:
        """Until the end of its answer may go out: it is written or lost, or has waited in vain."""
        await _within(entry.safe, self._limits.settle_seconds)

    def _note_safety(self, entry: Entry) -> None:
        if self._is_slow:
            entry.safe.set()

    def _be_slow(self) -> None:
        self._is_slow = True
        for entry in self._entries.values():
            self._note_safety(entry)

    async def write_all(self) -> None:
        """Write what comes, in the order in which it came. Runs until it is cancelled."""
        failures = 0
        pauses = self._limits.pauses_seconds
        while True:
            await self._filled.wait()
            if await self._has_written(self._batch(self._limits.batch_copies >> failures)):
                failures, self._is_slow = 0, False
                continue
            self._be_slow()
            pause_seconds = pauses[min(failures, len(pauses) - 1)]
            failures += 1
            await asyncio.sleep(pause_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load

    def _batch(self, copies: int) -> list[Entry]:
        """The oldest, as many as are written in one transaction: `copies` at most, one at least."""
        batch: list[Entry] = []
        size_bytes = 0
        for entry in self._entries.values():
            size_bytes += entry.copy.size_bytes
            if batch and (len(batch) >= copies or size_bytes > self._limits.batch_bytes):
                break
            batch.append(entry)
        return batch

    async def _has_written(self, batch: Sequence[Entry]) -> bool:
        """Whether these wait no more. False: the database fails, and they go on waiting."""
        try:
            await self._write_batch(batch)
        except (StateUnavailable, DatabaseFailure):  # the lane tells of it, once
            return False
        except Exception:  # whatever is wrong, what comes after must be written
            log.exception("responses could not be written")
            return False
        return True

    async def _write_batch(self, batch: Sequence[Entry]) -> None:
        writes = [Write(entry.copy, entry.is_deleted) for entry in batch]
        reasons = await self._written(writes)
        for entry, write, reason in zip(batch, writes, reasons, strict=True):
            if entry.is_deleted and not write.is_deleted and not reason:
                await self._delete(entry.copy.owner, entry.copy.id)
            if reason:
                self.losses.add(reason)
            entry.lost = reason
            self._drop(entry)

    async def _written(self, writes: Sequence[Write]) -> list[str]:
        """As `write` gives it. One that takes long holds no answer up."""
        writing = asyncio.ensure_future(self._write(writes))
        try:
            done, _ = await asyncio.wait({writing}, timeout=self._limits.slow_seconds)
            if not done:
                self._be_slow()
            return await writing
        finally:
            writing.cancel()

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry.copy.owner, entry.copy.id]
        self._items.remove(entry.copy)
        self._held_bytes -= entry.copy.size_bytes
        if not self._entries:
            self._filled.clear()
        entry.leave()

    async def emptied(self, seconds: float) -> bool:
        """Whether all that waits is gone within `seconds`."""
        last = next(self._newest_first(), None)
        return last is None or await until_gone(last, seconds)

    def give_up(self, reason: str) -> None:
        if self._entries:
            self.losses.add(reason, len(self._entries))
        for entry in list(self._entries.values()):
            entry.lost = reason
            self._drop(entry)
        self.losses.tell(reason)


def lost(copy: Copy, reason: str) -> Entry:
    """One that waits for nothing: it is not kept."""
    entry = Entry(copy, lost=reason)
    entry.leave()
    return entry


async def until_gone(entry: Entry, seconds: float) -> bool:
    """Whether `entry` is written or lost within `seconds`."""
    return await _within(entry.gone, seconds)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


def _is_in(copy: Copy, owner: UUID, conversation: str) -> bool:
    return copy.owner == owner and copy.conversation == conversation
