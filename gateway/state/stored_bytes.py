"""About how many bytes each owner has stored: counted as copies come, and summed up beside the calls
now and then, since other processes keep and remove, too."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

MOST_OWNERS = 10_000
REFRESH_SECONDS = 30.0
"""Of an owner who goes on storing: how old its sum may be."""
MOST_SHARE = 0.05
"""Of the time: that sums may take. Those of owners with very much are asked for less often."""

Sums = Callable[[Sequence[UUID]], Awaitable[dict[UUID, int]]]


@dataclass(slots=True)
class Stored:
    """Of one owner. `size_bytes` is what was summed up, and what came since."""

    size_bytes: int = 0
    due: float = 0.0
    """When it is to be summed up again, by `time.monotonic`."""
    is_wanted: bool = True
    """Whether anybody has asked since it was summed up."""


class StoredBytes:
    """Belongs to one event loop. With `most_bytes` 0 nobody is ever full, and nothing is counted."""

    def __init__(self, most_bytes: int, sums: Sums) -> None:
        self._most_bytes, self._sums = most_bytes, sums
        self._owners: OrderedDict[UUID, Stored] = OrderedDict()
        self._asked = asyncio.Event()

    @property
    def is_counting(self) -> bool:
        return self._most_bytes > 0

    def is_full(self, owner: UUID) -> bool:
        """As far as is known: of an owner who comes for the first time nothing is, for a moment."""
        if not self._most_bytes:
            return False
        stored = self._of(owner)
        stored.is_wanted = True
        if stored.due <= time.monotonic():
            self._asked.set()
        return stored.size_bytes >= self._most_bytes

    def add(self, owner: UUID, size_bytes: int) -> None:
        if self._most_bytes:
            self._of(owner).size_bytes += size_bytes

    def _of(self, owner: UUID) -> Stored:
        stored = self._owners.get(owner)
        if stored is None:
            stored = self._owners[owner] = Stored()
            if len(self._owners) > MOST_OWNERS:
                self._owners.popitem(last=False)
        self._owners.move_to_end(owner)
        return stored

    async def refresh(self) -> bool:
        """Sum up for those who are due, once somebody asks. False: there is no more to do at once."""
        await self._asked.wait()
        self._asked.clear()
        now = time.monotonic()
        due = [owner for owner, of in self._owners.items() if of.is_wanted and of.due <= now]
        for owner in due:
            await self._refresh(owner)
        return False

    async def _refresh(self, owner: UUID) -> None:
        began, stored = time.monotonic(), self._of(owner)
        before = stored.size_bytes
        found = await self._sums([owner])
        came_meanwhile = stored.size_bytes - before
        now = time.monotonic()
        stored.size_bytes = found.get(owner, 0) + came_meanwhile
        stored.is_wanted = False
        stored.due = now + max(REFRESH_SECONDS, (now - began) / MOST_SHARE)
