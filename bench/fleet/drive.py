"""A trace, sent as it says whatever the answers take; each turn of a session after the one before."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.client import Broken, Connection, Server, connect
from bench.fleet.trace import Session

LATE_SECONDS = 1.0
"""A turn that is due while the one before runs waits for it, and a second for being read."""


@dataclass(slots=True)
class Outcome:
    """Seconds until the first token of each turn that counts, and what went wrong."""

    firsts: list[float] = field(default_factory=list)
    bad: Counter[str] = field(default_factory=Counter)


class Drive:
    """Sends to `fronts` in turns, as a load balancer would. Turns from `warm_seconds` on count."""

    def __init__(self, fronts: Sequence[Server], warm_seconds: float) -> None:
        self.outcome = Outcome()
        self._warm_seconds = warm_seconds
        self._fronts = itertools.cycle(fronts)
        self._idle: dict[int, list[Connection]] = {front.port: [] for front in fronts}

    async def run(self, sessions: Sequence[Session]) -> Outcome:
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        await asyncio.gather(*(self._talk(session) for session in sessions))
        for connection in itertools.chain.from_iterable(self._idle.values()):
            connection.close()
        return self.outcome

    @property
    def _now(self) -> float:
        return self._loop.time() - self._began

    async def _talk(self, session: Session) -> None:
        for turn, at in enumerate(session.at):
            await asyncio.sleep(at - self._now if at > self._now else LATE_SECONDS * bool(turn))
            await self._say(session, turn)

    async def _say(self, session: Session, turn: int) -> None:
        front, counts = next(self._fronts), self._now >= self._warm_seconds
        members = {
            "stream": True,
            "max_tokens": session.replies[turn],
            "messages": session.messages(turn),
        }
        try:
            first = await self._first_token(front, front.post("/v1/chat/completions", members))
        except (OSError, Broken) as error:
            self.outcome.bad[type(error).__name__] += 1
            return
        if counts:
            self.outcome.firsts.append(first)

    async def _first_token(self, front: Server, request: bytes) -> float:
        """Seconds; the whole answer has been read. Raises Broken also where it is no success."""
        idle = self._idle[front.port]
        connection = idle.pop() if idle else await connect(front.port)
        came: list[float] = []
        sent = self._loop.time()

        def watch(_: bytes) -> None:
            if not came:
                came.append(self._loop.time())

        status = await connection.call(request, watch)
        if status != 200:
            connection.close()
            raise Broken(f"HTTP {status}")
        idle.append(connection)
        return came[0] - sent
