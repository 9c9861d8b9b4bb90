"""However many pings a side sends at once, other sessions and calls get their turns."""

from __future__ import annotations

import asyncio
import threading

import pytest

from bench.callbacks import Callbacks
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio

PINGS = 50_000
PING, MASKED_PING = b"\x89\x00", b"\x89\x80\0\0\0\0"


async def ident() -> int:
    return threading.get_ident()


@pytest.mark.parametrize("by", ["server", "client"])
async def test_pings_are_answered_in_turns(gateway, vllm, by):
    ended = asyncio.Event()

    async def script(session) -> None:
        if by == "server":
            session.transport.write(PING * PINGS)
        await session.send("after them")
        await ended.wait()

    vllm.will(script)
    callbacks, server = Callbacks(), await asyncio.to_thread(gateway.on_loop, ident())
    with callbacks.measured(lambda: threading.get_ident() == server):
        async with gateway.connect() as client:
            if by == "client":
                client.transport.write(MASKED_PING * PINGS)
            async with asyncio.timeout(PATIENCE_SECONDS):
                assert await client.recv() == "after them"
                await (await client.ping())
            ended.set()

    assert callbacks.longest_seconds < callbacks.seconds / 10
