"""What is on its way to the database, here or at another process of the data folder: who needs it
waits for it, `state_seconds` at most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar
from uuid import UUID

from gateway.errors import StateUnavailable, UnknownResponse
from gateway.state import responses
from gateway.state.backlog import Backlog, until_gone
from gateway.state.lane import Lane
from gateway.state.spool import Spool
from gateway.state.values import Copy, StateLimits
from gateway.state.waiting import Entry

T = TypeVar("T")


class Arrivals:
    """Belongs to one event loop. Other processes' spools are looked into on a thread of `lane`.

    Every method raises StateUnavailable where what it waits for has not arrived in time.
    """

    def __init__(
        self, backlog: Backlog, spool: Spool | None, lane: Lane, limits: StateLimits
    ) -> None:
        self._waiting, self._spool, self._lane = backlog.waiting, spool, lane
        self._limits = limits

    async def looked_up(self, ask: Callable[[], Awaitable[T]], owner: UUID, id: str) -> T:
        """What `ask` gives. While it raises UnknownResponse it is asked again: shortly, and for as
        long as the response waits at another process."""
        end = time.monotonic() + self._limits.state_seconds
        misses = 0
        while True:
            try:
                return await ask()
            except UnknownResponse:  # two misses in a row at least: it may arrive between the looks
                misses = 0 if await self._waits_elsewhere(owner, id=id) else misses + 1
                if misses >= self._limits.looks:
                    raise
            await self._pause(end)

    async def settled(self, owner: UUID, id: str) -> None:
        """Return once this response does not wait here. Raises UnknownResponse."""
        if entry := self._waiting.find(owner, id):
            check_undeleted(entry)
            await self.gone(entry)

    async def of_conversation(self, owner: UUID, id: str) -> None:
        """Return once every turn of this conversation has arrived."""
        if entry := self._waiting.of_conversation(owner, id):
            await self.gone(entry)
        await self._written_elsewhere(owner, conversation=id)

    async def of_owner(self, owner: UUID) -> None:
        """Return once all of this owner has arrived whose items are not known here."""
        if entry := self._waiting.spilled(owner):
            await self.gone(entry)
        await self._written_elsewhere(owner)

    async def held(self, entry: Entry | None) -> Copy | None:
        """The copy that waits here. None: it is, or by now it was, written. One that is too much for
        the memory is waited for."""
        if entry is not None and entry.copy is None:
            await self.gone(entry)
        return None if entry is None or entry.gone.is_set() else entry.copy

    async def gone(self, entry: Entry) -> None:
        if not await until_gone(entry, self._limits.state_seconds):
            raise _on_its_way()

    async def _written_elsewhere(self, owner: UUID, *, conversation: str | None = None) -> None:
        end = time.monotonic() + self._limits.state_seconds
        while await self._waits_elsewhere(owner, conversation=conversation):
            await self._pause(end)

    async def _waits_elsewhere(
        self, owner: UUID, *, id: str | None = None, conversation: str | None = None
    ) -> bool:
        if self._spool is None:
            return False
        look = partial(self._spool.waits_elsewhere, owner, id=id, conversation=conversation)
        return await self._lane.run(look)

    async def _pause(self, end: float) -> None:
        if time.monotonic() > end:
            raise _on_its_way()
        await asyncio.sleep(self._limits.look_again_seconds)


def _on_its_way() -> StateUnavailable:
    return StateUnavailable(
        "What this call goes on from waits to be written to the database. Try again soon."
    )


def check_undeleted(entry: Entry) -> None:
    """Raises UnknownResponse."""
    if entry.is_deleted:
        raise responses.unknown(entry.id)
