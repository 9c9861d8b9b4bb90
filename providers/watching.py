"""Keeps the catalog up to date: what has changed is read, and callers' keys before all else.

Keys have a thread and a connection of their own, so a revoked one waits for no other row.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from providers import revision
from providers.catalog import Catalog, load, usable_keys
from providers.database_thread import DatabaseThread
from providers.notices import Notices
from providers.snapshot import KeyEntry, Snapshot

RELOAD_SECONDS = 30.0
"""Read anew this often also without a new revision: catches what was changed past Django."""
NOT_READ = -1

Keys = Mapping[str, KeyEntry]
log = logging.getLogger("aurora.background")


@dataclass(frozen=True, slots=True)
class KeysRead:
    """The usable keys, with the revision that they are of at least. `begun` is when they were asked
    for: of two readings, the one that began later knows all that the other does."""

    revision: int
    keys: Keys
    begun: float


class Watching:
    """`look` and `read` are called again and again, on one event loop."""

    def __init__(self, catalog: Catalog, published: Callable[[], None]) -> None:
        """`published` is called after all has been read anew."""
        self._catalog, self._published = catalog, published
        self._for_keys, self._for_snapshots = DatabaseThread("keys"), DatabaseThread("snapshot")
        self.threads = (self._for_keys, self._for_snapshots)
        self._number, self._failed = NOT_READ, False
        self._read_at, self._newest = -math.inf, KeysRead(NOT_READ, {}, -math.inf)
        self._is_due, self._is_stale = asyncio.Event(), asyncio.Event()
        self.notices = Notices(self._is_due.set)

    async def until_due(self, seconds: float) -> None:
        """Until a change makes itself heard. Where none does, for `seconds`."""
        is_heard = self.notices.are_heard and not self._failed
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RELOAD_SECONDS if is_heard else seconds):
                await self._is_due.wait()

    def note(self, number: int) -> None:
        """The revision, where it was read beside something else: nobody may have told of a change."""
        if number != self._number:
            self._is_due.set()

    async def look(self) -> None:
        """Read the keys and publish them, where anything has changed."""
        self._is_due.clear()
        self._failed = True
        is_old = time.monotonic() - self._read_at >= RELOAD_SECONDS
        found = await self._for_keys.run(_read_keys, NOT_READ if is_old else self._number)
        self._failed = False
        if found is None:
            return
        self._number = found.revision
        self._is_stale.set()
        if self._is_newest(found):
            self._catalog.publish(self._catalog.current().with_keys(found.keys))

    async def read(self) -> None:
        """Once anything has changed, read all and publish it."""
        await self._is_stale.wait()
        self._is_stale.clear()
        try:
            begun, snapshot = await self._for_snapshots.run(_load)
        except BaseException:  # whatever came between, it is still to be read
            self._is_stale.set()
            raise
        self._read_at = begun
        if not self._is_newest(KeysRead(snapshot.revision, snapshot.keys, begun)):
            snapshot = snapshot.with_keys(self._newest.keys)
        self._catalog.publish(snapshot)
        self._published()

    def _is_newest(self, found: KeysRead) -> bool:
        if found.begun < self._newest.begun:
            return False
        had_keys = self._newest.revision == NOT_READ or bool(self._newest.keys)
        self._newest = found
        if had_keys and not found.keys:
            log.warning(
                "no usable key: every call is answered 401;"
                " set AURORA_MASTER_KEY or add a key in the admin"
            )
        return True


def _read_keys(known: int) -> KeysRead | None:
    """None: the revision is still the one that is `known`."""
    number = revision.current()
    if number == known:
        return None
    begun = time.monotonic()
    return KeysRead(number, usable_keys(), begun)


def _load() -> tuple[float, Snapshot]:
    """Since when, and what."""
    return time.monotonic(), load()
