"""A few requests at a time, and a bounded line of those that wait for a place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aurora_site.shares import Holders
from gateway.errors import NotReady

MOST_WAITING = 200
MOST_WAITING_SECONDS = 30.0
"""For a place: whatever those that have them wait for may never come."""

Turn = asyncio.Future[None]


class Places:
    """`at_once` places, given in the order in which they were asked for. At most `most_waiting`
    wait; then the newest of the owner that has most in the line makes room."""

    def __init__(
        self,
        at_once: int,
        *,
        most_waiting: int = MOST_WAITING,
        most_waiting_seconds: float = MOST_WAITING_SECONDS,
    ) -> None:
        self._free = at_once
        self._most_waiting, self._most_waiting_seconds = most_waiting, most_waiting_seconds
        self._line: dict[Turn, str] = {}
        self._waiting: Holders[Turn] = Holders()

    @contextlib.asynccontextmanager
    async def place(self, owner: str) -> AsyncIterator[None]:
        """Hold a place for the length of the block. Raises NotReady."""
        if self._free:
            self._free -= 1
        else:
            await self._wait_in_line(owner)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait_in_line(self, owner: str) -> None:
        """Returns with the place that another has given up."""
        self._make_room(owner)
        turn: Turn = asyncio.get_running_loop().create_future()
        self._line[turn] = owner
        self._waiting.add(owner, turn)
        try:
            async with asyncio.timeout(self._most_waiting_seconds):
                await turn
        except TimeoutError:
            raise NotReady("No place here has become free in time.") from None
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._pass_on()  # it came at the same moment
            raise
        finally:
            self._leave_line(turn)

    def _make_room(self, owner: str) -> None:
        if len(self._line) < self._most_waiting:
            return
        greediest = self._waiting.greediest()
        if self._waiting.count(owner) >= self._waiting.count(greediest) - 1:
            raise NotReady("Too many requests are waiting here.")
        turn = self._waiting.newest_of(greediest)
        self._leave_line(turn)
        if not turn.done():
            turn.set_exception(NotReady("Too many requests are waiting here."))

    def _pass_on(self) -> None:
        """To the next in line who still waits."""
        while self._line:
            turn = next(iter(self._line))
            self._leave_line(turn)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def _leave_line(self, turn: Turn) -> None:
        if (owner := self._line.pop(turn, None)) is not None:
            self._waiting.discard(owner, turn)
