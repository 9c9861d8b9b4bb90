"""The load counts what happened, against the mock and against servers that misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import pytest

from bench import load, mock
from bench.client import Broken, Server, connect, fetch
from tests.patience import PATIENCE_SECONDS
from tests.processes import free_port

pytestmark = pytest.mark.anyio

INTERVAL_SECONDS = 0.01
T = TypeVar("T")


@pytest.fixture
async def upstream() -> AsyncIterator[Server]:
    async with await mock.listen(0, INTERVAL_SECONDS) as server:
        yield Server("mock", server.sockets[0].getsockname()[1], mock.MODEL)


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[Server]:
    """A server that reads once, writes `answer` and closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(2**16):
            writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield Server("scripted", server.sockets[0].getsockname()[1], mock.MODEL)


async def counts(upstream: Server) -> dict[str, int]:
    _, answer = await fetch(upstream, upstream.get("/stats"))
    found: dict[str, int] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


async def with_time_enough(
    measure: Callable[[float], Awaitable[T]], has_found: Callable[[T], object]
) -> T:
    """What is measured in a short time, or in the next longer one in which there is something."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        seconds = 0.05
        while not has_found(found := await measure(seconds)):
            seconds *= 2
        return found


async def test_the_mock_answers_as_vllm_does(upstream: Server) -> None:
    status, models = await fetch(upstream, upstream.get("/v1/models"))
    assert (status, json.loads(models.partition(b"\r\n\r\n")[2])["data"][0]["id"]) == (
        200,
        mock.MODEL,
    )
    assert (await fetch(upstream, upstream.get("/health")))[0] == 200
    assert (await fetch(upstream, upstream.get("/v1/nothing")))[0] == 404

    status, answer = await fetch(upstream, upstream.chat())
    assert (status, json.loads(answer.partition(b"\r\n\r\n")[2])) == (200, mock.COMPLETION)


async def test_a_body_that_comes_in_pieces_is_read_to_its_end(upstream: Server) -> None:
    request = upstream.chat(max_tokens=2)
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    for piece in (request[:30], request[30:-60], request[-60:]):
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    answer = await reader.readuntil(b"0\r\n\r\n")
    writer.close()
    await writer.wait_closed()

    assert answer == mock.STREAM_HEAD + 2 * mock.STREAM_CHUNK + mock.STREAM_END


async def test_every_call_is_made_once_and_counted(upstream: Server) -> None:
    tally = await load.calls(upstream, 25, connections=4)

    assert (tally.good, dict(tally.bad)) == (25, {})
    assert (await counts(upstream))["calls"] == 25


async def test_throughput_and_latency_come_from_whole_answers(upstream: Server) -> None:
    fast = await with_time_enough(
        lambda seconds: load.throughput(upstream, connections=2, seconds=seconds),
        lambda found: found.calls,
    )
    made = (await counts(upstream))["calls"]
    alone = await with_time_enough(
        lambda seconds: load.latency(upstream, seconds=seconds), lambda found: found.p50_ms
    )

    assert 0 < fast.calls <= made
    assert fast.per_second > 0
    assert 0 < alone.p50_ms <= alone.p99_ms
    assert fast.bad == alone.bad == {}


async def test_a_refusal_is_counted_by_its_status() -> None:
    async with answering(mock.answer(b"{}", "503 Service Unavailable")) as server:
        tally = await load.calls(server, 3, connections=3)

    assert (tally.good, tally.bad) == (0, {"status 503": 3})


async def test_an_answer_cut_short_is_no_answer() -> None:
    async with answering(mock.PLAIN[:-1]) as server:
        tally = await load.calls(server, 4, connections=2)
        fast = await with_time_enough(
            lambda seconds: load.throughput(server, connections=1, seconds=seconds),
            lambda found: found.bad,
        )

    assert tally.good == 0
    assert tally.bad == {"connection lost": 2, "not made, their connection being lost": 2}
    assert (fast.per_second, set(fast.bad)) == (0, {"connection lost"})


async def test_nobody_listening_is_counted() -> None:
    server = Server("nobody", free_port(), mock.MODEL)

    fast = await with_time_enough(
        lambda seconds: load.throughput(server, connections=1, seconds=seconds),
        lambda found: found.bad,
    )

    assert (fast.per_second, set(fast.bad)) == (0, {"refused"})


async def test_streams_are_watched_to_their_last_chunk(upstream: Server) -> None:
    found = await load.streams(upstream, count=3, chunks=5, ramp_seconds=0)

    assert (found.chunks, found.bad) == (3 * (5 + len(mock.EVENTS_AT_END)), {})
    assert found.worst_gap_ms >= found.p99_gap_ms >= found.p50_gap_ms > 0
    assert found.worst_gap_ms >= INTERVAL_SECONDS * 1000 / 2


async def test_a_stream_that_lacks_a_chunk_is_a_failure() -> None:
    short = mock.STREAM_HEAD + mock.STREAM_CHUNK + mock.STREAM_END
    async with answering(short) as server:
        found = await load.streams(server, count=1, chunks=2, ramp_seconds=0)

    assert found.bad == {"4 events instead of 5": 1}


async def test_a_stream_cut_off_is_a_failure() -> None:
    async with answering(mock.STREAM_HEAD + mock.STREAM_CHUNK) as server:
        found = await load.streams(server, count=1, chunks=1, ramp_seconds=0)

    assert found.bad == {"connection lost": 1}


async def test_a_first_token_is_timed_for_each_kind_in_turn(upstream: Server) -> None:
    asked = {"a": (upstream.chat(max_tokens=1), b'"content"'), "b": (upstream.chat(), b'"content"')}

    taken, bad = await load.first_tokens(upstream, asked, rounds=2)

    assert bad == {}
    assert set(taken) == {"a", "b"}
    assert min(taken.values()) > 0
    assert (await counts(upstream))["calls"] == 4


async def test_a_stream_without_a_token_is_a_failure(upstream: Server) -> None:
    request = upstream.chat(max_tokens=1)

    _, bad = await load.first_tokens(upstream, {"a": (request, b"text_delta")}, rounds=1)
    tally = await load.tokens(upstream, request, b"text_delta", count=2)

    assert bad == {"a: a stream without a token": 1}
    assert tally.bad == {"a stream without a token": 2}


async def test_a_cancelled_stream_stops_in_the_mock(upstream: Server) -> None:
    tally = await load.cancelled_streams(upstream, 7, at_once=3)
    assert (tally.good, dict(tally.bad)) == (7, {})
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (stopped := await counts(upstream))["open_streams"]:
            pass
    await asyncio.sleep(3 * INTERVAL_SECONDS)

    assert (stopped["calls"], stopped["streams"], stopped["open_streams"]) == (7, 7, 0)
    assert await counts(upstream) == stopped  # no chunk was written since


async def test_a_big_body_is_answered(upstream: Server) -> None:
    assert await load.big_body(upstream, mib=3) == 200
    assert (await counts(upstream))["calls"] == 1


async def test_a_connection_that_is_gone_takes_no_call() -> None:
    async with answering(mock.PLAIN) as server:
        connection = await connect(server.port)
        assert await connection.call(server.chat()) == 200
        await asyncio.sleep(0.05)
        with pytest.raises(Broken):
            await connection.call(server.chat())
        connection.close()
