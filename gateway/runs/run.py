"""One response while it is generated in the background: what it has told, and how it stands."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice

from gateway.errors import GatewayError, StateUnavailable, UpstreamBroke
from gateway.memory import Charge
from gateway.state import endings
from gateway.state.values import RUNNING, Copy
from gateway.translation.responses import Final, final

MOST_RUN_BYTES = 16 * 2**20
"""Of what one run has told and the database has not taken yet."""
MOST_TOLD_BYTES = 64 * 2**20
MOST_TOLD_EVENTS = 1_000_000
"""Of one run, from its first event on: all of it is kept, for as long as responses are."""
MOST_BATCH_EVENTS = 500
MOST_BATCH_BYTES = 2**20
ENDS = frozenset({"completed", "incomplete", "failed", "cancelled"})

Numbered = tuple[int, bytes]
"""An event of the stream: its sequence number, and its server-sent bytes."""


class Ended(Enum):
    """Why a run ends before its server does. The value is what the log says."""

    CANCELLED = "cancelled"
    DELETED = "deleted while it ran"
    KEY_OVER = "its owner has no usable key any more"
    STOPPED = "Aurora is stopping"
    TOO_LONG = "it ran for too long"
    UNKEPT = "it could not be kept"


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

    def __init__(self, queued: Copy, request_bytes: int = 0, charge: Charge | None = None) -> None:
        self.charge = charge or Charge(None)
        """What it holds in memory."""
        self.request_bytes = request_bytes
        """Of the call that waits for its answer: none once that has begun."""
        self._queued = self.copy = queued
        """As it stands: its body and status are those of the last event about it."""
        self.ended: Ended | None = None
        self.is_final = False
        self.is_over = False
        """Nothing is told any more."""
        self.finality = asyncio.Event()
        self._batch_is_full = asyncio.Event()
        self._events: deque[Numbered] = deque()
        self._held_bytes = self._told_bytes = self._told_events = 0
        self._last = self._let_go = -1
        self._closing: Numbered | None = None
        self._body_is_new = False
        self._changed = asyncio.Event()

    def begun(self) -> None:
        """The call is answered: nothing of its request is held any more."""
        self.request_bytes = 0
        self.charge.free_body()

    # What the server says.

    def tell(self, number: int, event: bytes) -> None:
        """One whose number is not greater than the last has no place, and is left out.

        Raises UpstreamBroke where the server has told more than is kept of one response, and
        StateUnavailable where too much of it waits for the database.
        """
        if self.is_final or number <= self._last:
            return
        self._check_room(len(event))
        self._add(number, event)

    def _check_room(self, size: int) -> None:
        if self._told_bytes + size > MOST_TOLD_BYTES or self._told_events >= MOST_TOLD_EVENTS:
            raise UpstreamBroke(
                "The response was given up: its server told more than the "
                f"{MOST_TOLD_BYTES} bytes or {MOST_TOLD_EVENTS} events that are kept of one."
            )
        if self._held_bytes + size > MOST_RUN_BYTES:
            raise StateUnavailable(
                "The database takes nothing, or not as fast as the server tells it, and the "
                "response has become too long to wait for it."
            )
        try:
            self.charge.hold_answer(self._held_bytes + size)
        except GatewayError as error:
            raise StateUnavailable(str(error)) from None

    def _add(self, number: int, event: bytes) -> None:
        self._last = number
        self._events.append((number, event))
        self._held_bytes += len(event)
        self._told_bytes += len(event)
        self._told_events += 1
        self._note_fullness()
        self._wake()

    def stands(self, now: Final | None) -> None:
        """The response object as an event has it. Only its end makes it final."""
        if now is None or self.is_final:
            return
        status, body = now.status, now.body
        if status not in RUNNING:
            status = self.copy.status
            body = endings.changed(body, status=status)
        self.copy = replace(self.copy, body=body, status=status)
        self._body_is_new = True

    def end(self, now: Final | None, event: bytes | None = None, number: int | None = None) -> None:
        """The response object as it will stay, and the event that says so, if one does.

        One that says no status of an end is a failure.
        """
        if self.is_final or now is None:
            return
        if now.status not in ENDS:
            self.fail(UpstreamBroke("The server ended the response without saying how it stands."))
            return
        self._conclude(now)
        if event is not None:
            self._last = max(self._last + 1, number if number is not None else 0)
            self._closing = (self._last, event)

    def fail(self, error: GatewayError) -> None:
        if self.is_final:
            return
        body = endings.failed(self.copy.body, error)
        *begun, (_, last) = endings.failing(self.copy.body, body, self._last)
        for number, event in begun:  # however full this is: a failure must be told
            self._add(number, event)
        self.end(final(body), last)

    def give_up(self, error: GatewayError) -> None:
        """Fail even what has ended. What the database has not taken is let go: it may be what
        cannot be kept."""
        self._events.clear()
        self._held_bytes, self._let_go, self._closing = 0, self._last, None
        self.copy, self.is_final = self._queued, False
        self.fail(error)

    def cancel(self) -> None:
        self.end(final(endings.cancelled(self.copy.body)))

    def _conclude(self, now: Final) -> None:
        self.is_final = True
        self.copy = replace(self.copy, body=now.body, status=now.status, output=now.output)
        self.finality.set()
        self._batch_is_full.set()  # nothing more comes to fill it

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
        self.charge.hold_answer(self._held_bytes)
        if batch.body is self.copy.body:
            self._body_is_new = False
        self._note_fullness()

    def _note_fullness(self) -> None:
        is_full = len(self._events) >= MOST_BATCH_EVENTS or self._held_bytes >= MOST_BATCH_BYTES
        if is_full or self.is_final:
            self._batch_is_full.set()
        else:
            self._batch_is_full.clear()

    async def until_batch(self, seconds: float) -> None:
        """Until there is a whole batch to take, or nothing more comes; or for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._batch_is_full.wait(), seconds)

    async def until_final(self, seconds: float) -> None:
        """Until it is final; or for so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.finality.wait(), seconds)

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
