"""A client that takes its answer slowly, or never."""

from __future__ import annotations

import asyncio
import resource
import time

from tests.aurora_site.server.apps import (
    GET,
    MIB,
    Told,
    answer,
)
from tests.aurora_site.server.client import Client
from tests.aurora_site.server.timed import STALL_SECONDS, TimedServer
from tests.processes import eventually


def test_a_client_that_never_reads_is_not_buffered_for_and_is_cut(serve):
    sent_bytes, ended = [0], Told()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(200):
            await send({"type": "http.response.body", "body": bytes(MIB), "more_body": True})
            if (await told_within(receive, 0.0001)) is not None:
                break
            sent_bytes[0] += MIB
        ended(await receive())

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server = TimedServer(serve, app)
    with Client(server.url, receive_buffer_bytes=65536) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        time_passes_until_told(server, ended)
        assert ended.get() == {"type": "http.disconnect"}
    assert sent_bytes[0] <= 8 * MIB
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32 * 1024


def time_passes_until_told(server: TimedServer, told: Told) -> None:
    def is_told() -> bool:
        server.let_pass(0.4 * STALL_SECONDS)
        return told.future.done()

    eventually(is_told)


async def told_within(receive, seconds):
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
            return message if message["type"] == "http.disconnect" else None
    except TimeoutError:
        return None


def test_a_client_that_reads_slowly_gets_all(serve):
    async def app(scope, receive, send):
        await answer(send, body=bytes(6 * MIB))

    server = TimedServer(serve, app)
    with Client(server.url, receive_buffer_bytes=65536) as client:
        client.send(GET)
        received = 0
        while received < 6 * MIB:
            server.let_pass(0.05 * STALL_SECONDS)
            received += len(client.socket.recv(128 * 1024))


def test_a_finished_answer_that_nobody_takes_ends_too(serve):
    told = Told()

    async def app(scope, receive, send):
        await answer(send, body=bytes(20 * MIB))
        told(None)

    server = TimedServer(serve, app)
    with Client(server.url, receive_buffer_bytes=65536) as client:
        client.send(GET)
        time_passes_until_told(server, told)


def test_pipelined_requests_of_a_client_that_reads_nothing_wait(serve):
    calls = []

    async def app(scope, receive, send):
        calls.append(scope["raw_path"])
        await answer(send, body=bytes(8 * MIB))

    with Client(serve(app), receive_buffer_bytes=65536) as client:
        client.send(GET * 4)
        time.sleep(0.1)
        assert len(calls) == 1
        for _ in range(4):
            assert len(client.answer().body) == 8 * MIB


def test_an_answer_still_on_its_way_is_not_told_as_a_disconnect(serve):
    told = Told()

    async def app(scope, receive, send):
        await receive()
        last = asyncio.ensure_future(answer(send, body=bytes(16 * MIB)))
        await asyncio.sleep(0.05)
        message = await receive()
        told((message["type"], last.done()))

    with Client(serve(app), receive_buffer_bytes=65536) as client:
        client.send(GET)
        time.sleep(0.1)
        assert not told.future.done()
        assert len(client.answer().body) == 16 * MIB
        assert told.get() == ("http.disconnect", True)
