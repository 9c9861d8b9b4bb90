"""How soon a server is left when the client leaves: streams, and realtime sessions."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

from bench.client import Server, fetch
from bench.load import GRACE_SECONDS, Tally, all_of, beginning, share

LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Kind:
    """What is left: a request, by which the mock knows its number, and what comes of it first."""

    name: str
    asked: Callable[[Server, int], bytes]
    marker: bytes
    status: int
    first: int
    """The number of the first one: no other exchange with the mock has such."""


STREAM = Kind("a stream", lambda to, number: to.chat(max_tokens=number), b"data:", 200, 1_000_000)
SESSION = Kind("a session", lambda to, number: to.session(number), b"\r\n\r\n", 101, 2_000_000)


@dataclass(frozen=True, slots=True)
class Departures:
    """From a client's leaving to the end of what the server hears of it."""

    worst_ms: float
    p50_ms: float
    bad: Counter[str]


async def departures(
    kind: Kind,
    server: Server,
    mock: Server,
    count: int,
    at_once: int,
    *,
    most_seconds: float = GRACE_SECONDS,
) -> Departures:
    """`count` exchanges that are left once they have begun; `mock`, behind `server`, tells when each
    was left there."""
    tally, left = Tally(), dict[int, float]()

    async def caller(offset: int) -> None:
        for number in range(kind.first + offset, kind.first + count, at_once):
            status = await beginning(server, kind.asked(server, number), kind.marker)
            left[number] = time.monotonic()
            if status != kind.status:
                tally.bad[f"status {status}"] += 1

    await all_of(at_once, caller, tally, count / 20 + GRACE_SECONDS)
    noticed = await _noticed(mock, left, time.monotonic() + most_seconds)
    gaps = [noticed[number] - at for number, at in left.items() if number in noticed]
    if missing := len(left) - len(gaps):
        tally.bad[f"{kind.name} that ran on"] += missing
    return Departures(max(gaps, default=0.0) * 1000, share(gaps, 50) * 1000, tally.bad)


async def _noticed(mock: Server, left: Collection[int], until: float) -> dict[int, float]:
    """When the mock was left by each, as far as it has been by then."""
    while True:
        _, answer = await fetch(mock, mock.get("/left"))
        told: dict[str, float] = json.loads(answer.split(b"\r\n\r\n", 1)[1])
        noticed = {int(number): at for number, at in told.items()}
        if noticed.keys() >= set(left) or time.monotonic() > until:
            return noticed
        await asyncio.sleep(LOOK_SECONDS)
