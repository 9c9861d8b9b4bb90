"""How slow an upload may be, by a scripted clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.client import LEAST_BYTES_PER_SECOND, Client, Limits, Message, Receive, Request
from gateway.errors import SlowUpload
from gateway.upstream.transport import _postponing
from tests import scripted_time

STALL_SECONDS = 10.0
PIECES = 100
A_FAIR_PIECE = b"x" * int(STALL_SECONDS * LEAST_BYTES_PER_SECOND)


def uploading(piece: bytes, gap_seconds: float, pieces: int = PIECES) -> Receive:
    """A client that sends a piece after each gap."""
    left = pieces

    async def receive() -> Message:
        nonlocal left
        await asyncio.sleep(gap_seconds)
        left -= 1
        return {"type": "http.request", "body": piece, "more_body": left > 0}

    return receive


async def nothing_is_sent(message: Message) -> None:
    raise AssertionError(message)


async def taken_in(receive: Receive) -> tuple[int, float]:
    """How many bytes came in, or were to, and after how many seconds."""
    request = Request("POST", "/", b"/", b"", [], "1")
    client = Client(request, receive, nothing_is_sent, Limits(2**30, STALL_SECONDS))
    try:
        size = len(await client.body())
    except SlowUpload:
        size = -1
    return size, asyncio.get_running_loop().time()


def test_an_upload_at_a_fair_pace_may_take_longer_than_a_stall():
    gap = 0.9 * STALL_SECONDS

    size, seconds = scripted_time.run(taken_in(uploading(A_FAIR_PIECE, gap)))

    assert (size, round(seconds)) == (PIECES * len(A_FAIR_PIECE), round(PIECES * gap))


def test_an_upload_that_stalls_is_given_up_after_a_stall():
    size, seconds = scripted_time.run(taken_in(uploading(A_FAIR_PIECE, 1.1 * STALL_SECONDS)))

    assert (size, seconds) == (-1, STALL_SECONDS)


def test_an_upload_of_single_bytes_is_given_up_though_it_never_stalls():
    size, seconds = scripted_time.run(taken_in(uploading(b"x", 0.1 * STALL_SECONDS)))

    assert (size, seconds) == (-1, pytest.approx(STALL_SECONDS, rel=0.01))


def test_an_upload_that_began_fast_is_given_up_once_it_trickles():
    async def receive() -> Message:
        is_first = asyncio.get_running_loop().time() == 0
        await asyncio.sleep(1)
        return {"type": "http.request", "body": bytes(2**24 if is_first else 1), "more_body": True}

    size, seconds = scripted_time.run(taken_in(receive))

    assert (size, seconds) == (-1, pytest.approx(1 + STALL_SECONDS, rel=0.01))


def test_a_phone_on_a_bad_line_may_fall_silent_again_and_again():
    """Each silence is nearly a stall long, and what comes between two earns it."""
    burst = b"x" * int(STALL_SECONDS * LEAST_BYTES_PER_SECOND / 10)
    numbers = iter(range(1, 201))

    async def receive() -> Message:
        number = next(numbers)
        await asyncio.sleep(0.9 * STALL_SECONDS if number % 10 == 0 else 0.05)
        return {"type": "http.request", "body": burst, "more_body": number < 200}

    size, _ = scripted_time.run(taken_in(receive))

    assert size == 200 * len(burst)


def test_the_time_in_which_nobody_waits_for_the_body_is_not_the_clients():
    async def slowly_taken() -> int:
        request = Request("POST", "/", b"/", b"", [], "1")
        client = Client(
            request, uploading(b"x", 0.0), nothing_is_sent, Limits(2**30, STALL_SECONDS)
        )
        taken, more = 0, True
        while more:
            piece, more = await client.next_piece()
            taken += len(piece)
            await asyncio.sleep(STALL_SECONDS)
        return taken

    assert scripted_time.run(slowly_taken()) == PIECES


def test_the_pace_can_be_set():
    request = Request("POST", "/", b"/", b"", [], "1")
    limits = Limits(2**30, STALL_SECONDS, upload_bytes_per_second=10)
    client = Client(request, uploading(b"x" * 11, 1.0), nothing_is_sent, limits)

    assert scripted_time.run(client.body()) == b"x" * 11 * PIECES


async def pieces_after(*gaps: float) -> AsyncIterator[bytes]:
    for gap in gaps:
        await asyncio.sleep(gap)
        yield b"x"


async def passed_on(*gaps: float) -> float:
    """Seconds that it takes until a server has been given an upload with these gaps."""
    async with asyncio.timeout(1.0) as limit:
        async for _ in _postponing(pieces_after(*gaps), limit, 1.0):
            pass
    return asyncio.get_running_loop().time()


def test_a_slow_upload_does_not_count_as_a_silent_server():
    assert scripted_time.run(passed_on(*[0.9] * 100)) == pytest.approx(90.0)


def test_an_upload_that_stops_counts_as_a_silent_server():
    with pytest.raises(TimeoutError):
        scripted_time.run(passed_on(0.9, 0.9, 1.1))
