"""The lanes: what is measured of whom, how long, in what order."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bench import contenders, hostile, live, load
from bench.client import Broken, Server, fetch
from bench.contenders import Place, Running
from bench.departures import SESSION, STREAM, departures
from bench.pieces import CASES, held_up
from bench.processes import CannotStart, cpu_seconds, forget_peak, peak_mib, resident_mib
from bench.report import Figures
from tests.processes import free_port

CONNECTIONS = 64
CHUNKS_PER_SECOND = 20  # the mock's pace: one each 50 ms
CANCELLED_AT_ONCE = 50
LEAVING_AT_ONCE = 10
BODY_MIB = 10
TRANSLATED_AT_ONCE = 100
SETTLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything. The targets are meant for FULL."""

    warm_up_seconds: float
    throughput_seconds: float
    latency_seconds: float
    streams: int
    stream_seconds: int
    warm_up_calls: int
    warm_up_cancelled: int
    calls: int
    cancelled: int
    first_tokens: int
    translated_seconds: int
    left: int
    changes: int


FULL = Size(3, 10, 5, 500, 20, 3000, 1000, 20_000, 5000, 200, 10, 1000, 20)
QUICK = Size(1, 3, 2, 500, 5, 500, 500, 2000, 500, 40, 3, 200, 5)


@dataclass(frozen=True, slots=True)
class Bench:
    """One run: where, against which mock, how much; what it finds goes to `figures`."""

    place: Place
    mock: Running
    size: Size
    figures: Figures
    against: frozenset[str]

    @contextlib.asynccontextmanager
    async def started(self, starter: contenders.Starter) -> AsyncIterator[Running]:
        """A gateway that has answered a chat completion. Raises CannotStart when it does not."""
        async with starter(self.place, self.mock.server.port) as gateway:
            await _answers(gateway.server)
            yield gateway


async def _answers(server: Server) -> None:
    try:
        status, answer = await asyncio.wait_for(fetch(server, server.chat()), 30)
    except (OSError, Broken, TimeoutError) as error:
        raise CannotStart(f"{server.name} does not answer: {error!r}") from error
    if status != 200 or b"chat.completion" not in answer:
        raise CannotStart(f"{server.name} answers a chat completion so:\n{answer.decode()}")


async def speed(bench: Bench) -> None:
    """Requests a second and latency: the mock alone, LiteLLM, Aurora, one after the other."""
    if "mock" in bench.against:
        await _speed_of(bench, bench.mock)
    if "litellm" in bench.against:
        try:
            async with bench.started(contenders.litellm) as gateway:
                await _speed_of(bench, gateway)
        except CannotStart as error:
            bench.figures.problems.append(str(error))
    if "aurora" in bench.against:
        async with bench.started(contenders.aurora) as gateway:
            await _speed_of(bench, gateway)


async def _speed_of(bench: Bench, measured: Running) -> None:
    size, add, server = bench.size, bench.figures.add, measured.server
    warm_up = await load.throughput(server, CONNECTIONS, size.warm_up_seconds)
    add(server.name, warm_up.bad)
    before = cpu_seconds(measured.pid)
    fast = await load.throughput(server, CONNECTIONS, size.throughput_seconds)
    used = (cpu_seconds(measured.pid) - before) / max(1, fast.calls)
    add(server.name, fast.bad, per_second=fast.per_second, call_cpu_us=used * 1e6)
    alone = await load.latency(server, size.latency_seconds)
    add(server.name, alone.bad, p50_ms=alone.p50_ms, p99_ms=alone.p99_ms)


async def streams(bench: Bench) -> None:
    """Many streams at once: the mock alone for a short time, then Aurora."""
    if "mock" in bench.against:
        await _streams_of(bench, bench.mock, min(5, bench.size.stream_seconds))
    if "aurora" in bench.against:
        async with bench.started(contenders.aurora) as gateway:
            await _streams_of(bench, gateway, bench.size.stream_seconds)


async def _streams_of(bench: Bench, measured: Running, seconds: int) -> None:
    server = measured.server
    await load.calls(server, 200, 10)
    before = cpu_seconds(measured.pid)
    found = await load.streams(
        server, bench.size.streams, seconds * CHUNKS_PER_SECOND, ramp_seconds=1.0
    )
    bench.figures.add(
        server.name,
        found.bad,
        worst_gap_ms=found.worst_gap_ms,
        p99_gap_ms=found.p99_gap_ms,
        p50_gap_ms=found.p50_gap_ms,
        worst_first_ms=found.worst_first_ms,
        stream_chunks=found.chunks,
        chunk_cpu_us=(cpu_seconds(measured.pid) - before) / max(1, found.chunks) * 1e6,
    )


async def leaving(bench: Bench) -> None:
    """How soon the server behind Aurora is left when the client leaves a stream, or a session."""
    if "aurora" not in bench.against:
        return
    async with bench.started(contenders.aurora) as gateway:
        server, mock, size = gateway.server, bench.mock.server, bench.size
        of = await departures(STREAM, server, mock, size.left, LEAVING_AT_ONCE)
        bench.figures.add(server.name, of.bad, left_p50_ms=of.p50_ms, left_worst_ms=of.worst_ms)
        of = await departures(SESSION, server, mock, size.left, LEAVING_AT_ONCE)
        figures = {"session_left_p50_ms": of.p50_ms, "session_left_worst_ms": of.worst_ms}
        bench.figures.add(server.name, of.bad, **figures)


async def changes(bench: Bench) -> None:
    """How soon a key works that was issued, and none that was revoked; and the end of the process."""
    if "aurora" not in bench.against:
        return
    async with bench.started(contenders.aurora) as gateway:
        found = await live.key_changes(gateway.server, bench.size.changes)
        stopped = await live.stop(gateway.server, gateway.pid)
    bench.figures.add(
        gateway.server.name,
        found.bad,
        live_p50_ms=found.p50_ms,
        live_worst_ms=found.worst_ms,
        stopped_ms=stopped * 1000,
    )


async def memory(bench: Bench) -> None:
    """Aurora, freshly started: flat over calls and cancelled streams, then one big body."""
    if "aurora" not in bench.against:
        return
    async with bench.started(contenders.aurora) as gateway:
        await _flatness(bench, gateway)
        await _big_body(bench, gateway)


async def _flatness(bench: Bench, gateway: Running) -> None:
    server, size = gateway.server, bench.size
    fresh = resident_mib(gateway.pid)
    warm_up = await load.calls(server, size.warm_up_calls, CONNECTIONS)
    left = await load.cancelled_streams(server, size.warm_up_cancelled, CANCELLED_AT_ONCE)
    bench.figures.add(server.name, warm_up.bad + left.bad, fresh_mib=fresh)
    before = await _settled_mib(gateway)
    called = await load.calls(server, size.calls, CONNECTIONS)
    between = await _settled_mib(gateway)
    left = await load.cancelled_streams(server, size.cancelled, CANCELLED_AT_ONCE)
    after = await _settled_mib(gateway)
    bench.figures.add(
        server.name,
        called.bad + left.bad,
        resident_mib=before,
        calls_growth_mib=between - before,
        cancelled_growth_mib=after - between,
        left_open=await _open_streams(bench.mock.server),
    )


async def _settled_mib(gateway: Running) -> float:
    await asyncio.sleep(SETTLE_SECONDS)
    return resident_mib(gateway.pid)


async def _open_streams(mock: Server) -> int:
    _, answer = await fetch(mock, mock.get("/stats"))
    return int(json.loads(answer.split(b"\r\n\r\n", 1)[1])["open_streams"])


async def _big_body(bench: Bench, gateway: Running) -> None:
    forget_peak(gateway.pid)
    before = resident_mib(gateway.pid)
    status = await load.big_body(gateway.server, BODY_MIB)
    grown = peak_mib(gateway.pid) - before
    bad = {} if status == 200 else {f"status {status}": 1}
    bench.figures.add(gateway.server.name, bad, body_copies=grown / BODY_MIB)


def _asked(server: Server, tokens: int) -> dict[str, tuple[bytes, bytes]]:
    """The same stream in each dialect, and how a token is known in it."""
    said = "How is the weather?"
    messages = [{"role": "user", "content": said}]
    of_messages = {"messages": messages, "max_tokens": tokens, "stream": True}
    of_responses = {"input": said, "max_output_tokens": tokens, "stream": True}
    return {
        "relayed": (server.chat(said, tokens), b'"content"'),
        "messages": (server.post("/v1/messages", of_messages), b"text_delta"),
        "responses": (server.post("/v1/responses", of_responses), b"output_text.delta"),
    }


async def translated(bench: Bench) -> None:
    """Streams that Aurora translates, beside the same stream relayed: the mock speaks chat only."""
    if "aurora" not in bench.against:
        return
    async with bench.started(contenders.aurora) as gateway:
        server, size = gateway.server, bench.size
        await load.first_tokens(server, _asked(server, 1), 10)
        taken, bad = await load.first_tokens(server, _asked(server, 1), size.first_tokens)
        firsts = {f"first_{kind}_ms": taken[kind] for kind in taken}
        bench.figures.add(server.name, bad, **firsts)
        for kind in taken:
            await _event_cost(bench, gateway, kind)


async def _event_cost(bench: Bench, gateway: Running, kind: str) -> None:
    server, tokens = gateway.server, bench.size.translated_seconds * CHUNKS_PER_SECOND
    request, marker = _asked(server, tokens)[kind]
    before = cpu_seconds(gateway.pid)
    found = await load.tokens(server, request, marker, TRANSLATED_AT_ONCE)
    await asyncio.sleep(SETTLE_SECONDS)  # what is written behind the answers counts as well
    used = (cpu_seconds(gateway.pid) - before) / (TRANSLATED_AT_ONCE * tokens)
    bench.figures.add(server.name, found.bad, **{f"event_{kind}_us": used * 1e6})


async def pieces(bench: Bench) -> None:
    """The longest callback of Aurora's loop while callers and servers send what is hard to take."""
    if "aurora" not in bench.against:
        return
    told_port = free_port()
    words = ("-m", "bench.callbacks", str(told_port), "serve")
    async with (
        hostile.listening() as port,
        contenders.aurora(bench.place, port, words) as gateway,
    ):
        for case in CASES:
            held = await held_up(case, gateway.server, told_port)
            figures = {f"{case}_callback_ms": held.callback_ms, f"{case}_call_ms": held.call_ms}
            bench.figures.add(gateway.server.name, held.bad, **figures)


LANES = {
    "speed": speed,
    "streams": streams,
    "leaving": leaving,
    "changes": changes,
    "memory": memory,
    "translated": translated,
    "pieces": pieces,
}
