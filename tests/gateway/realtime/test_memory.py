"""What clients' messages hold is counted, and given back."""

from __future__ import annotations

import asyncio

import pytest
from websockets.exceptions import ConnectionClosed

from gateway.memory import Memory
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually

pytestmark = pytest.mark.anyio

MIB = 2**20


@pytest.fixture
def memory() -> Memory:
    return Memory(MIB)


@pytest.fixture
def options(memory):
    return {"hold": memory.moved, "memory": memory}


async def test_a_message_that_fits_goes_through_and_is_given_back(gateway, vllm, memory):
    async with gateway.connect() as client:
        await client.send(b"a" * (MIB // 2))
        assert len(await client.recv()) == MIB // 2
        assert await asyncio.to_thread(eventually, lambda: memory.used_bytes == 0)


async def test_a_message_for_which_there_is_no_memory_ends_the_session(gateway, vllm, memory):
    async with gateway.connect() as client:
        sending = asyncio.create_task(client.send(b"a" * (2 * MIB)))
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), PATIENCE_SECONDS)
        await asyncio.gather(sending, return_exceptions=True)
        assert client.protocol.close_rcvd.code == 1013

    assert await asyncio.to_thread(eventually, lambda: memory.used_bytes == 0)


async def test_a_client_that_leaves_within_its_message_holds_nothing(gateway, vllm, memory):
    async with gateway.connect() as client:
        client.transport.write(
            b"\x82\xff" + (MIB).to_bytes(8, "big") + bytes(4) + b"a" * (MIB // 2)
        )
        await asyncio.to_thread(eventually, lambda: memory.used_bytes > 0)
        client.transport.abort()

    assert await asyncio.to_thread(eventually, lambda: memory.used_bytes == 0)


async def test_a_message_of_a_server_for_which_there_is_no_memory_ends_the_session(
    gateway, vllm, memory
):
    async def script(session) -> None:
        await session.send(b"a" * (2 * MIB))
        await session.wait_closed()

    vllm.will(script)
    async with gateway.connect() as client:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(client.recv(), PATIENCE_SECONDS)
        assert client.protocol.close_rcvd.code == 1009

    assert await asyncio.to_thread(eventually, lambda: memory.used_bytes == 0)
