"""One response while it is generated in the background: what it has told, and how it stands."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice

from gateway.errors import GatewayError, StateUnavailable
from gateway.runs import endings
from gateway.state.values import Copy
from gateway.translation.responses import Final, final

MOST_RUN_BYTES = 16 * 2**20
"""Of what one run has told and the database has not taken yet."""
MOST_BATCH_EVENTS = 500
MOST_BATCH_BYTES = 2**20

Numbered = tuple[int, bytes]
"""An event of the stream: its sequence number, and its server-sent bytes."""


class Ended(Enum):
    """Why a run ends before its server does. The value is what the log says."""

    CANCELLED = "cancelled"
    DELETED = "deleted while it ran"
    STOPPED = "Aurora is stopping"


@dataclass(frozen=True, slots=True)
class Batch:
    """What the database is to take next. `body` is None where it knows the newest already."""

    body: bytes | None
    status: str | None
    events: list[Numbered]
    is_last: bool


class Run:
    """Belongs to one event loop.

    The events that the database has taken are let go: what this holds is bounded by
    MOST_RUN_BYTES. The last one is told once the response is kept as final, so whoever has read it
    can go on from there.
    """

    def __init__(self, queued: Copy) -> None:
        self.copy = queued
        """As it stands: its body and status are those of the last event about it."""
        self.ended: Ended | None = None
        self.is_final = False
        self.is_over = False
        """Nothing is told any more."""
        self.finality = asyncio.Event()
        self._events: deque[Numbered] = deque()
        self._held_bytes = 0
        self._last = self._let_go = -1
        self._closing: Numbered | None = None
        self._body_is_new = False
        self._changed = asyncio.Event()

    # What the server says.

    def tell(self, number: int, event: bytes) -> None:
        """One whose number is not greater than the last has no place, and is left out.

        Raises StateUnavailable where the database has taken nothing for too long.
        """
        if self.is_final or number <= self._last:
            return
        self._held_bytes += len(event)
        if self._held_bytes > MOST_RUN_BYTES:
            raise StateUnavailable(
                "The database takes nothing, and the response has become too long to wait for it."
            )
        self._last = number
        self._events.append((number, event))
        self._wake()

    def stands(self, body: bytes) -> None:
        """The response object as an event has it."""
        now = final(body)
        if now is not None and not self.is_final:
            self.copy = replace(self.copy, body=body, status=now.status)
            self._body_is_new = True

    def end(self, body: bytes, event: bytes | None = None, number: int | None = None) -> None:
        """The response object as it will stay, and the event that says so, if one does."""
        now = final(body)
        if self.is_final or now is None:
            return
        self._conclude(now)
        if event is not None:
            self._last = max(self._last + 1, number if number is not None else 0)
            self._closing = (self._last, event)

    def fail(self, error: GatewayError) -> None:
        if self.is_final:
            return
        if self._last < 0:
            created = endings.event(endings.CREATED, 0, self.copy.body)
            self.tell(0, created)
        body = endings.failed(self.copy.body, error)
        self.end(body, endings.event(endings.FAILED, self._last + 1, body))

    def cancel(self) -> None:
        self.end(endings.cancelled(self.copy.body))

    def _conclude(self, now: Final) -> None:
        self.is_final = True
        self.copy = replace(self.copy, body=now.body, status=now.status, output=now.output)
        self.finality.set()

    # What the database takes.

    def batch(self) -> Batch:
        """The oldest events that it has not taken, some at a time."""
        events: list[Numbered] = []
        size = 0
        for numbered in islice(self._events, MOST_BATCH_EVENTS):
            size += len(numbered[1])
            if events and size > MOST_BATCH_BYTES:
                break
            events.append(numbered)
        is_last = len(events) == len(self._events)
        if self.is_final or not self._body_is_new:
            return Batch(None, None, events, is_last)
        return Batch(self.copy.body, self.copy.status, events, is_last)

    def taken(self, batch: Batch) -> None:
        for _, event in batch.events:
            self._let_go, _ = self._events.popleft()
            self._held_bytes -= len(event)
        if batch.body is self.copy.body:
            self._body_is_new = False

    @property
    def has_news(self) -> bool:
        return bool(self._events) or self._body_is_new

    @property
    def closing(self) -> list[Numbered]:
        """What goes to the database with its end."""
        return [] if self._closing is None else [self._closing]

    # What readers see.

    def holds(self, after: int) -> bool:
        """Whether what follows event `after` is here, and not in the database alone."""
        return after >= self._let_go

    def after(self, number: int) -> list[Numbered]:
        told = [*self._events, *self.closing] if self.is_over else self._events
        return [numbered for numbered in told if numbered[0] > number]

    async def until_told(self, seconds: float) -> None:
        """Until there is more to tell, or it is over; or for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)

    def be_over(self) -> None:
        """Tell the last event, and nothing after it."""
        self.is_over = True
        self._wake()

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
