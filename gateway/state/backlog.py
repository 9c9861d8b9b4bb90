"""Copies that wait to be written: kept behind the calls, bounded, found by their id meanwhile."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from uuid import UUID

from django.db import Error as DatabaseFailure

from gateway.errors import StateUnavailable
from gateway.state.counter import Counter
from gateway.state.parcels import Parcel
from gateway.state.spool import Found, Place, Spool
from gateway.state.spool.records import State
from gateway.state.values import MOST_CONTEXT_ITEMS, Copy, StateLimits, is_id
from gateway.state.waiting import Entry, Waiting

log = logging.getLogger("aurora.state")


class Backlog:
    """Belongs to one event loop.

    `write` writes a batch, and gives the reason why each is lost, "" for what is kept. While it fails,
    what waits goes on waiting, in `spool` if there is one: nothing is lost but what finds no room.
    """

    def __init__(
        self,
        limits: StateLimits,
        write: Callable[[Sequence[Parcel]], Awaitable[list[str]]],
        delete: Callable[[UUID, str], Awaitable[None]],
        spool: Spool | None = None,
    ) -> None:
        self._limits, self._write, self._delete = limits, write, delete
        self._spool = spool
        self.waiting = Waiting()
        self._filled = asyncio.Event()
        self._is_slow = False
        self.losses = Counter("responses that were not kept")
        self._late = Counter("answers that ended before their response was safe")

    def add(self, copy: Copy) -> Entry:
        """Returns at once. What cannot be kept is counted as lost, and its entry says why."""
        reason = self._refusal(copy)
        if reason:
            self.losses.add(reason)
            return lost(copy, reason)
        entry = Entry.of(copy)
        self._take_in(entry)
        if self._spool is not None:
            entry.is_spooling = True
            is_needed, on_disk = partial(_is_needed, entry), partial(self._be_on_disk, entry)
            self._spool.put(copy, is_needed, on_disk)
        self._note_safety(entry)
        return entry

    def _refusal(self, copy: Copy) -> str:
        if not is_id(copy.id):
            return "its id is none that could be kept"
        if copy.count > MOST_CONTEXT_ITEMS:
            return f"it has {copy.count} items, and could not be continued"
        if self.waiting.find(copy.owner, copy.id) is not None:
            return "one with its id waits already"
        return self._lack_of_room(copy)

    def _lack_of_room(self, copy: Copy) -> str:
        waiting, limits = self.waiting, self._limits
        if waiting.loose >= limits.queued_copies:
            return f"{waiting.loose} others wait to be written"
        if waiting.loose_bytes + copy.size_bytes > limits.queued_bytes:
            return f"{waiting.loose_bytes} bytes wait to be written"
        if self._spool is not None and not waiting.has_room(copy, self._spool.most_bytes):
            return f"the spool is full: {waiting.charged_bytes} bytes wait to be written"
        return ""

    def adopt(self, left: Iterable[Found]) -> None:
        """Write what another process has left, too."""
        for found in left:
            if self.waiting.find(found.mark.owner, found.mark.id) is None:
                self._take_in(Entry.found(found))
            elif self._spool is not None:
                self.losses.add("one with its id waits already")
                self._spool.note(found.place, State.WRITTEN)

    def _take_in(self, entry: Entry) -> None:
        self.waiting.add(entry)
        self._filled.set()

    def _be_on_disk(self, entry: Entry, place: Place | None) -> None:
        """`place` is None where it could not be put there, or had been written before."""
        entry.is_spooling = False
        if place is not None and self._spool is not None:
            if entry.gone.is_set():
                self._spool.note(place, State.WRITTEN)
                return
            self.waiting.put_in_place(entry, place)
            if entry.is_deleted:
                self._spool.note(place, State.DELETED)
            if self.waiting.held_bytes > self._limits.held_bytes:
                self.waiting.spill(entry)
        self._note_safety(entry)

    async def delete(self, entry: Entry) -> None:
        """From now on it is unknown, after a restart as well. Its items are found no more."""
        entry.is_deleted = True
        self.waiting.hide_items(entry)
        if entry.place is not None and self._spool is not None:
            noted = self._spool.note(entry.place, State.DELETED)
            await asyncio.wait({noted}, timeout=self._limits.disk_seconds)

    async def until_safe(self, entry: Entry) -> None:
        """Until the end of its answer may go out: it is written or lost, or the database is slow or
        gone and it is in the spool. It has waited in vain after the seconds that `StateLimits` say."""
        limits = self._limits
        seconds = limits.disk_seconds if self._is_slow else limits.settle_seconds
        if not await _within(entry.safe, seconds) and entry.place is None:
            self._late.add("neither the database nor the spool takes it")

    def _note_safety(self, entry: Entry) -> None:
        if self._is_slow and not entry.is_spooling:
            entry.safe.set()

    def _be_slow(self) -> None:
        if not self._is_slow:
            self._is_slow = True
            for entry in self.waiting:
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
        for entry in self.waiting:
            size_bytes += entry.size_bytes
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
        parcels = [Parcel(entry.copy, entry.place, entry.is_deleted) for entry in batch]
        reasons = await self._written(parcels)
        for entry, parcel, reason in zip(batch, parcels, reasons, strict=True):
            if entry.is_deleted and not parcel.is_deleted and not reason:
                await self._delete(entry.owner, entry.id)
            if reason:
                self.losses.add(reason)
            self._drop(entry, reason)

    async def _written(self, parcels: Sequence[Parcel]) -> list[str]:
        """As `write` gives it. One that takes long holds no answer up."""
        writing = asyncio.ensure_future(self._write(parcels))
        try:
            done, _ = await asyncio.wait({writing}, timeout=self._limits.slow_seconds)
            if not done:
                self._be_slow()
            return await writing
        finally:
            writing.cancel()

    def _drop(self, entry: Entry, reason: str) -> None:
        if entry.place is not None and self._spool is not None:
            self._spool.note(entry.place, State.WRITTEN)
        self._let_go(entry, reason)

    def _let_go(self, entry: Entry, reason: str) -> None:
        entry.lost = reason
        self.waiting.remove(entry)
        if not self.waiting:
            self._filled.clear()
        entry.leave()

    async def emptied(self, seconds: float) -> bool:
        """Whether all that waits is gone within `seconds`."""
        last = self.waiting.newest()
        return last is None or await until_gone(last, seconds)

    def give_up(self, reason: str) -> None:
        """What is in no spool is lost; the rest is written after the next start. The log says so."""
        entries = list(self.waiting)
        loose = [entry for entry in entries if entry.place is None]
        if loose:
            self.losses.add(reason, len(loose))
        if len(loose) < len(entries):
            log.warning(
                "%d responses wait in the spool; they are written by another process of this data"
                " folder, or after the next start",
                len(entries) - len(loose),
            )
        for entry in entries:
            self._let_go(entry, reason if entry.place is None else "")
        self.losses.tell(reason)


def lost(copy: Copy, reason: str) -> Entry:
    """One that waits for nothing: it is not kept."""
    entry = Entry.of(copy)
    entry.lost = reason
    entry.leave()
    return entry


def _is_needed(entry: Entry) -> bool:
    return not entry.gone.is_set()


async def until_gone(entry: Entry, seconds: float) -> bool:
    """Whether `entry` is written or lost within `seconds`."""
    return await _within(entry.gone, seconds)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
