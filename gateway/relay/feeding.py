"""What a server sends, read in turns of the loop, or on a thread where it is large."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import chain

from gateway.errors import GatewayError
from gateway.memory import FREE_BYTES
from gateway.offload import INLINE_BYTES, Offload
from gateway.relay.delivery import UNWATCHED, Watcher
from gateway.translation import EventStream
from gateway.turns import Turns

SLICE_BYTES = 4 * 2**10
"""Of a stream whose events are read: about a millisecond of work, between two looks at the clock."""


class Watching:
    """Lets a watcher see what is about to go out; large answers on a thread."""

    __slots__ = ("_offload", "_watcher")

    def __init__(self, watcher: Watcher, offload: Offload) -> None:
        self._watcher, self._offload = watcher, offload

    @property
    def held_bytes(self) -> int:
        return self._watcher.held_bytes

    async def feed(self, told: bytes) -> bytes:
        """`told` as it is to go out, once it may."""
        watcher = self._watcher
        size = watcher.held_bytes + len(told)
        if size <= INLINE_BYTES or watcher is UNWATCHED:
            watcher.feed(told)
        else:
            await self._offload.run_to_the_end(size, watcher.feed, told)
        watcher.settle()
        return await watcher.release(told) if watcher.holds else told

    async def end(self) -> None:
        """The answer is whole."""
        watcher = self._watcher
        await self._offload.run_to_the_end(watcher.held_bytes, watcher.end)
        watcher.settle()
        if watcher.holds:
            await watcher.release(b"")


class Feeding:
    """What `events` makes of a server's pieces, and `watching` sees of it. Where more than
    INLINE_BYTES may have to be read at once, that is done on a thread."""

    __slots__ = ("_hold", "_is_counted", "_offload", "events", "turns", "watching")

    def __init__(
        self,
        events: EventStream,
        watcher: Watcher,
        offload: Offload,
        hold: Callable[[int], None],
    ) -> None:
        """`hold` is told how much is held, and raises MemoryFull or BodyTooLarge."""
        self.events, self._offload, self._hold = events, offload, hold
        self._is_counted = False
        self.watching, self.turns = Watching(watcher, offload), Turns()

    def parts(self, piece: bytes) -> Sequence[bytes]:
        """`piece` as it is to be fed. Of what is read on a thread, as much as there is."""
        events = self.events
        if len(piece) <= SLICE_BYTES or not events.reads_events:
            return (piece,)
        if events.held_bytes > INLINE_BYTES:
            return (piece,)
        return [piece[at : at + SLICE_BYTES] for at in range(0, len(piece), SLICE_BYTES)]

    async def take_in(self, *pieces: bytes) -> list[bytes]:
        """What goes to the client for `pieces`, in turns, before any of it does."""
        told = []
        for part in chain.from_iterable(map(self.parts, pieces)):
            self.turns.begin()
            told.append(await self.fed(part))
            if self.turns.are_over():
                await asyncio.sleep(0)
        return told

    async def fed(self, part: bytes) -> bytes:
        """Raises MemoryFull or BodyTooLarge where more would be held than there is memory for."""
        events, held_bytes = self.events, self.events.held_bytes
        if held_bytes > FREE_BYTES or self._is_counted:
            self._hold(held_bytes + self.watching.held_bytes)
            self._is_counted = held_bytes > FREE_BYTES
        if held_bytes <= INLINE_BYTES:
            return events.feed(part)
        return await self._offload.run_to_the_end(held_bytes, events.feed, part)

    async def last(self) -> bytes:
        """What is still to be said at the end of the server's stream."""
        return await self._offload.run_to_the_end(self.events.held_bytes, self.events.end)

    async def broken(self, error: GatewayError) -> bytes:
        """The last bytes of a stream that breaks off with `error`."""
        events = self.events
        return await self._offload.run_to_the_end(events.held_bytes, events.broken, error)
