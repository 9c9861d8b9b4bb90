"""The load: many small calls, calls one by one, streams watched for gaps, streams left early.

Whatever is not a whole 200 is counted by what it was instead; nothing is dropped silently.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from bench.client import Broken, Server, connect, fetch
from bench.mock import EVENTS_AT_END

Work = Callable[[int], Awaitable[None]]

GRACE_SECONDS = 30.0  # for what is under way when a measurement's time is over
REFUSED_PAUSE_SECONDS = 0.05
TURN_SECONDS = 0.02  # what is written behind one stream must not be taken for the next one's time


@dataclass(slots=True)
class Tally:
    """How calls ended: the number of whole 200s, and all others by what they were."""

    good: int = 0
    bad: Counter[str] = field(default_factory=Counter)

    def add(self, status: int) -> None:
        if status == 200:
            self.good += 1
        else:
            self.bad[f"status {status}"] += 1


@dataclass(frozen=True, slots=True)
class Throughput:
    calls: int
    per_second: float
    bad: Counter[str]


@dataclass(frozen=True, slots=True)
class Latency:
    p50_ms: float
    p99_ms: float
    bad: Counter[str]


@dataclass(frozen=True, slots=True)
class Streams:
    """The longest gap between two chunks in a stream: the worst of all streams, p99 and median."""

    worst_gap_ms: float
    p99_gap_ms: float
    p50_gap_ms: float
    worst_first_ms: float
    chunks: int
    bad: Counter[str]


async def throughput(server: Server, connections: int, seconds: float) -> Throughput:
    """Small chat completions, one after the other on each of `connections`."""
    tally = Tally()
    request = server.chat()
    deadline = time.perf_counter() + seconds

    async def caller(_: int) -> None:
        while time.perf_counter() < deadline:
            await _calls_until(deadline, server, request, tally)

    await all_of(connections, caller, tally, seconds + GRACE_SECONDS)
    return Throughput(tally.good, tally.good / seconds, tally.bad)


async def _calls_until(deadline: float, server: Server, request: bytes, tally: Tally) -> None:
    """Calls on one connection until the deadline; returns early when it is lost or refused."""
    try:
        connection = await connect(server.port)
    except OSError:
        tally.bad["refused"] += 1
        await asyncio.sleep(REFUSED_PAUSE_SECONDS)
        return
    try:
        while True:
            status = await connection.call(request)
            if time.perf_counter() >= deadline:
                return
            tally.add(status)
    except Broken:
        tally.bad["connection lost"] += 1
    finally:
        connection.close()


async def calls(server: Server, count: int, connections: int) -> Tally:
    """`count` small chat completions over `connections`."""
    tally = Tally()
    request = server.chat()

    async def caller(number: int) -> None:
        share = count // connections + (number < count % connections)
        connection = await connect(server.port)
        try:
            for _ in range(share):
                tally.add(await connection.call(request))
        finally:
            connection.close()

    await all_of(connections, caller, tally, count / 20 + GRACE_SECONDS)
    if missing := count - tally.good - tally.bad.total():
        tally.bad["not made, their connection being lost"] = missing
    return tally


async def latency(server: Server, seconds: float) -> Latency:
    """One connection, one call after the other: the time from sending to the last byte."""
    tally = Tally()
    request = server.chat()
    taken: list[float] = []

    async def caller(_: int) -> None:
        connection = await connect(server.port)
        deadline = time.perf_counter() + seconds
        try:
            while (started := time.perf_counter()) < deadline:
                tally.add(await connection.call(request))
                taken.append(time.perf_counter() - started)
        finally:
            connection.close()

    await all_of(1, caller, tally, seconds + GRACE_SECONDS)
    return Latency(share(taken, 50) * 1000, share(taken, 99) * 1000, tally.bad)


class _Chunks:
    """Counts a stream's events and takes the longest time between two reads."""

    def __init__(self) -> None:
        self.started = self.last = time.perf_counter()
        self.first_seconds = self.longest_seconds = 0.0
        self.events = 0
        self._tail = b""

    def __call__(self, data: bytes) -> None:
        events = (self._tail + data).count(b"data:")
        self._tail = data[-4:]
        if not events:
            return
        now = time.perf_counter()
        if self.events:
            self.longest_seconds = max(self.longest_seconds, now - self.last)
        else:
            self.first_seconds = now - self.started
        self.events += events
        self.last = now


async def streams(server: Server, count: int, chunks: int, ramp_seconds: float) -> Streams:
    """`count` streams of `chunks` chunks at once, each on its connection, opened over `ramp_seconds`."""
    tally = Tally()
    request = server.chat(max_tokens=chunks)
    watched: list[_Chunks] = []

    async def caller(number: int) -> None:
        await asyncio.sleep(ramp_seconds * number / count)
        connection = await connect(server.port)
        watch = _Chunks()
        watched.append(watch)
        try:
            tally.add(await connection.call(request, watch))
        finally:
            connection.close()
        if watch.events != chunks + len(EVENTS_AT_END):
            tally.bad[f"{watch.events} events instead of {chunks + len(EVENTS_AT_END)}"] += 1

    await all_of(count, caller, tally, ramp_seconds + chunks * 0.1 + GRACE_SECONDS)
    gaps = [watch.longest_seconds for watch in watched]
    return Streams(
        worst_gap_ms=max(gaps, default=0.0) * 1000,
        p99_gap_ms=share(gaps, 99) * 1000,
        p50_gap_ms=share(gaps, 50) * 1000,
        worst_first_ms=max((watch.first_seconds for watch in watched), default=0.0) * 1000,
        chunks=sum(watch.events for watch in watched),
        bad=tally.bad,
    )


class _Token:
    """Takes the time until a stream's first token, which is known by its `marker`."""

    def __init__(self, marker: bytes) -> None:
        self._marker, self._seen = marker, b""
        self.started, self.seconds = time.perf_counter(), 0.0

    def __call__(self, data: bytes) -> None:
        if not self.seconds:
            self._seen += data
            if self._marker in self._seen:
                self.seconds = time.perf_counter() - self.started


async def first_tokens(
    server: Server, asked: Mapping[str, tuple[bytes, bytes]], rounds: int
) -> tuple[dict[str, float], Counter[str]]:
    """Median milliseconds to the first token of each kind of stream, and what went wrong.

    `asked` has for each kind its request and the marker of a token. The kinds take turns, one
    stream at a time, so that what drifts on the machine drifts for all.
    """
    tally = Tally()
    taken: dict[str, list[float]] = {kind: [] for kind in asked}
    connection = await connect(server.port)
    try:
        for _ in range(rounds):
            for kind, (request, marker) in asked.items():
                watch = _Token(marker)
                tally.add(await connection.call(request, watch))
                taken[kind].append(watch.seconds)
                if not watch.seconds:
                    tally.bad[f"{kind}: a stream without a token"] += 1
                await asyncio.sleep(TURN_SECONDS)
    finally:
        connection.close()
    return {kind: statistics.median(times) * 1000 for kind, times in taken.items()}, tally.bad


async def tokens(server: Server, request: bytes, marker: bytes, count: int) -> Tally:
    """`count` streams at once, to their end; one that brings no token counts as bad."""
    tally = Tally()

    async def caller(_: int) -> None:
        connection = await connect(server.port)
        watch = _Token(marker)
        try:
            tally.add(await connection.call(request, watch))
        finally:
            connection.close()
        if not watch.seconds:
            tally.bad["a stream without a token"] += 1

    await all_of(count, caller, tally, 60 + GRACE_SECONDS)
    return tally


async def cancelled_streams(server: Server, count: int, at_once: int) -> Tally:
    """`count` streams, each on its connection, left as soon as its first chunk is here."""
    tally = Tally()
    request = server.chat(max_tokens=10_000)

    async def caller(number: int) -> None:
        for _ in range(count // at_once + (number < count % at_once)):
            tally.add(await beginning(server, request, b"data:"))

    await all_of(at_once, caller, tally, count / 20 + GRACE_SECONDS)
    return tally


async def beginning(server: Server, request: bytes, marker: bytes) -> int:
    """The status of an answer that is left once `marker` is in it, or of one without it."""
    connection = await connect(server.port)
    seen = bytearray()
    arrived: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def watch(data: bytes) -> None:
        seen.extend(data)
        if marker in seen and not arrived.done():
            arrived.set_result(int(seen[9:12]))

    whole = asyncio.ensure_future(connection.call(request, watch))
    try:
        done, _ = await asyncio.wait({whole, arrived}, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        whole.cancel()
        arrived.cancel()
        connection.close()


async def big_body(server: Server, mib: int) -> int:
    """The status of one chat completion with a prompt of `mib` MiB."""
    status, _ = await fetch(server, server.chat(prompt="a" * (mib * 2**20)))
    return status


async def all_of(count: int, work: Work, tally: Tally, seconds: float) -> None:
    """Run `work(0)` to `work(count - 1)` at once; count what fails or is not over in `seconds`."""
    tasks = [asyncio.ensure_future(work(number)) for number in range(count)]
    done, late = await asyncio.wait(tasks, timeout=seconds)
    for task in late:
        task.cancel()
    tally.bad.update({"no answer in time": len(late)} if late else {})
    for error in filter(None, (task.exception() for task in done)):
        if not isinstance(error, OSError | Broken):
            raise error
        tally.bad["connection lost" if isinstance(error, Broken) else "refused"] += 1


def share(values: Iterable[float], percent: int) -> float:
    """The `percent`th percentile, 0 for no values."""
    found = sorted(values)
    if len(found) < 2:
        return found[0] if found else 0.0
    return statistics.quantiles(found, n=100, method="inclusive")[percent - 1]
