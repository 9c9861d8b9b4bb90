"""A side that does not read holds the other side up, rather than the gateway's memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from tests.held import counting
from tests.mounted import UNHURRIED, provider
from tests.patience import PATIENCE_SECONDS
from tests.raw_http import RESET_ON_CLOSE
from tests.realtime_mounted import MODEL, end_of
from tests.scripted_realtime import until_closed

pytestmark = pytest.mark.anyio

MIB = 2**20
PIECE = bytes(MIB // 4)
OFFERED_BYTES = 128 * MIB
MOST_TAKEN_BYTES = 40 * MIB  # what the system buffers on four sockets, for the most part
MOST_HELD_KIB = 48 * 1024  # of this process: the test's two sides are in it as well
STUCK_SECONDS = 0.2
"""Without a byte: on a slow machine a flood may seem stuck that is not yet, which proves less."""
SOON = replace(UNHURRIED, last_words_seconds=0.05, flush_seconds=0.05, closing_seconds=0.05)
GIVEN_UP_SOON = pytest.mark.parametrize("waits", [SOON])
"""Nobody waits for what a side that does not read will never take."""
PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


class Flood:
    """What one side sends while the other does not read. `stuck` is set when nothing goes on."""

    def __init__(self) -> None:
        self.sent_bytes = 0
        self.stuck = asyncio.Event()

    async def __call__(self, side) -> None:
        sending = asyncio.create_task(self._send(side))
        seen = -1
        while seen != self.sent_bytes and not sending.done():
            seen = self.sent_bytes
            await asyncio.wait([sending], timeout=STUCK_SECONDS)
        self.stuck.set()
        try:
            await sending
        finally:
            sending.cancel()

    async def _send(self, side) -> None:
        while self.sent_bytes < OFFERED_BYTES:
            await side.send(PIECE)
            self.sent_bytes += len(PIECE)


def resident_kib() -> int:
    """What this process holds now: the most it ever held would hide what comes after."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * PAGE_KIB


def not_reading(gateway, **options):
    """A client whose system buffers little; it does not read once `pause_reading` is called."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    sock.connect(("127.0.0.1", gateway.port))
    return gateway.connect(sock=sock, **options)


async def send_until_unheard(client) -> None:
    """Until the gateway reads no more; what was sent by then has left the client's system."""
    with contextlib.suppress(TimeoutError):
        while True:
            await client.send(PIECE)
            await asyncio.wait_for(await client.ping(), STUCK_SECONDS)


async def is_gone(session) -> bool:
    """Whether the system learns that the other end of a socket nobody reads is gone."""
    poller = select.poll()
    poller.register(session.transport.get_extra_info("socket"), select.POLLRDHUP)
    return bool(await asyncio.to_thread(poller.poll, 1000 * PATIENCE_SECONDS))


async def test_a_client_that_does_not_read_stops_the_reading_from_the_server(gateway, vllm):
    flood = Flood()
    vllm.will(flood)
    before = resident_kib()
    async with not_reading(gateway) as client:
        client.transport.pause_reading()
        await asyncio.wait_for(flood.stuck.wait(), PATIENCE_SECONDS)

        assert 0 < flood.sent_bytes < MOST_TAKEN_BYTES
        assert resident_kib() - before < MOST_HELD_KIB
        client.transport.resume_reading()
        received = 0
        while received < OFFERED_BYTES:
            received += len(await client.recv())
        assert received == flood.sent_bytes == OFFERED_BYTES


async def test_a_server_that_does_not_read_stops_the_reading_from_the_client(gateway, vllm):
    received: list[int] = []
    vllm.will(until_closed)
    flood = Flood()
    before = resident_kib()
    async with gateway.connect() as client:
        session = await vllm.began()
        session.transport.pause_reading()
        flooding = asyncio.create_task(flood(client))
        await asyncio.wait_for(flood.stuck.wait(), PATIENCE_SECONDS)

        assert 0 < flood.sent_bytes < MOST_TAKEN_BYTES
        assert resident_kib() - before < MOST_HELD_KIB
        session.transport.resume_reading()
        while sum(received) < OFFERED_BYTES:
            received.append(len(await session.recv()))
        await flooding


@pytest.mark.parametrize("way", ["abort", "close"])
async def test_a_client_that_vanishes_without_having_read_ends_the_server(gateway, vllm, way):
    flood = Flood()
    vllm.will(flood)
    async with not_reading(gateway) as client:
        client.transport.pause_reading()
        await asyncio.wait_for(flood.stuck.wait(), PATIENCE_SECONDS)
        getattr(client.transport, way)()
        ended = await vllm.ended()

    assert ended.code == 1001


async def test_a_client_that_closes_without_having_read_ends_the_server(gateway, vllm):
    flood = Flood()
    vllm.will(flood)
    async with not_reading(gateway, close_timeout=0.2) as client:
        client.transport.pause_reading()
        await asyncio.wait_for(flood.stuck.wait(), PATIENCE_SECONDS)
        closing = asyncio.create_task(client.close(4001, "enough"))
        ended = await vllm.ended()
        await closing

    assert (ended.code, ended.reason) == (4001, "enough")


@GIVEN_UP_SOON
@pytest.mark.parametrize("with_reset", [True, False], ids=["reset", "without a word"])
async def test_a_client_that_vanishes_ends_a_server_that_does_not_read(gateway, vllm, with_reset):
    vllm.will(until_closed)
    async with gateway.connect() as client:
        session = await vllm.began()
        session.transport.pause_reading()
        await send_until_unheard(client)
        if with_reset:
            sock = client.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        client.transport.abort()
        assert await is_gone(session)
        session.transport.abort()

    assert (await gateway.record())["reason"] == "the client left"


@GIVEN_UP_SOON
async def test_a_server_that_vanishes_without_having_read_ends_the_client(gateway, vllm):
    vllm.will(until_closed)
    flood = Flood()
    async with gateway.connect() as client:
        session = await vllm.began()
        session.transport.pause_reading()
        flooding = asyncio.create_task(flood(client))
        await asyncio.wait_for(flood.stuck.wait(), PATIENCE_SECONDS)
        session.transport.abort()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client)[0] == 1011
        with pytest.raises(ConnectionClosed):
            await flooding


async def test_a_servers_close_counts_even_if_it_breaks_off_without_having_read(gateway, vllm):
    vllm.will(until_closed)
    flood = Flood()
    async with gateway.connect() as client:
        session = await vllm.began()
        session.transport.pause_reading()
        flooding = asyncio.create_task(flood(client))
        await asyncio.wait_for(flood.stuck.wait(), PATIENCE_SECONDS)
        session.protocol.send_close(4001, "enough")
        session.transport.write(b"".join(session.protocol.data_to_send()))
        session.transport.abort()
        await client.wait_closed()
        assert end_of(client) == (4001, "enough")
        with pytest.raises(ConnectionClosed):
            await flooding


async def test_what_a_server_said_before_its_close_reaches_a_client_that_reads_later(gateway, vllm):
    async def speak_and_close(session):
        for _ in range(32):
            await session.send(PIECE)
        await session.close(4000, "said")

    vllm.will(speak_and_close)
    async with not_reading(gateway) as client:
        client.transport.pause_reading()
        await vllm.began()
        client.transport.resume_reading()
        received = 0
        async for message in _until_closed(client):
            received += len(message)
            await asyncio.sleep(0.01)
        assert (received, end_of(client)) == (32 * len(PIECE), (4000, "said"))


async def _until_closed(client):
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await client.recv()


@pytest.mark.parametrize("options", [{"client_stall_seconds": 0.4}])
async def test_a_client_that_takes_nothing_for_too_long_is_ended(gateway, vllm, options):
    flood = Flood()
    vllm.will(flood)
    async with not_reading(gateway) as client:
        client.transport.pause_reading()
        assert (await vllm.ended()).code == 1001
        client.transport.abort()

    assert (await gateway.record())["reason"] == "the client left"


@GIVEN_UP_SOON
async def test_a_server_that_takes_nothing_for_too_long_is_ended(gateway, vllm):
    gateway.publish(provider(vllm.url, models=(MODEL,), idle_seconds=0.4))
    vllm.will(until_closed)
    flood = Flood()
    async with gateway.connect() as client:
        session = await vllm.began()
        session.transport.pause_reading()
        with pytest.raises(ConnectionClosed):
            await flood(client)
        assert end_of(client)[0] == 1011
        session.transport.abort()

    assert (await gateway.record())["reason"].startswith("upstream_timeout")


async def test_pings_of_a_client_that_does_not_read_pile_up_nowhere(gateway, vllm):
    """Each is owed an answer of its own size."""
    flood = Flood()
    vllm.will(flood)
    async with not_reading(gateway) as client:
        client.transport.pause_reading()
        await asyncio.wait_for(flood.stuck.wait(), PATIENCE_SECONDS)
        ping = b"\x89\xfd" + bytes(4) + bytes(125)
        with counting() as held:
            for _ in range(5):
                client.transport.write(ping * 8000)
                while client.transport.get_write_buffer_size():  # noqa: ASYNC110 - on the wire
                    await asyncio.sleep(0.001)
            assert held() < 8000 * 125
        client.transport.abort()
        await vllm.ended()
