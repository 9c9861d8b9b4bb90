"""Frames cross both ways as they are."""

from __future__ import annotations

import asyncio

import pytest

from tests.mounted import MASTER_KEY
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually
from tests.realtime_mounted import MODEL

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "message",
    ["", "{}", "zażółć \U0001f9ea \0", b"", b"\x00\xff\xfe", "x" * 300_000, b"\x80" * 5_000_000],
    ids=["no text", "text", "beyond ASCII", "no bytes", "bytes", "long text", "many bytes"],
)
async def test_a_message_crosses_both_ways_untouched(gateway, vllm, message):
    async with gateway.connect() as client:
        await client.send(message)
        assert await client.recv() == message


async def test_messages_of_both_kinds_stay_in_order(gateway, vllm):
    messages = [f"text {n}" if n % 3 else bytes([n % 256]) * n for n in range(2000)]
    async with gateway.connect() as client:
        sending = asyncio.create_task(_send_all(client, messages))
        assert [await client.recv() for _ in messages] == messages
        await sending


async def _send_all(client, messages):
    for message in messages:
        await client.send(message)


async def test_a_message_in_fragments_arrives_whole(gateway, vllm):
    async with gateway.connect() as client:
        await client.send(["one ", "", "two ", "three"])
        assert await client.recv() == "one two three"
        await client.send([b"\x01"] * 10_000)
        assert await client.recv() == b"\x01" * 10_000


async def test_the_servers_first_word_needs_none_of_the_client(gateway, vllm):
    async def greet(session):
        await session.send('{"type":"session.created"}')
        await session.wait_closed()

    vllm.will(greet)
    async with gateway.connect() as client:
        assert await client.recv() == '{"type":"session.created"}'


async def test_each_side_is_ponged_by_the_gateway_itself(gateway, vllm):
    vllm.will(_reading_nothing)
    async with gateway.connect() as client:
        await asyncio.wait_for(await client.ping(b"from the client"), PATIENCE_SECONDS)
        session = await vllm.began()
        await asyncio.wait_for(await session.ping(b"from the server"), PATIENCE_SECONDS)


async def _reading_nothing(session):
    await session.wait_closed()


async def test_a_session_leaves_one_line_in_the_log(gateway, vllm):
    async with gateway.connect() as client:
        await client.send("ü")
        await client.recv()
        await client.send(b"123")
        await client.recv()

    record = await gateway.record()
    assert (record["status"], record["path"], record["method"]) == (101, "/v1/realtime", "GET")
    assert (record["provider"], record["model"]) == ("alpha", MODEL)
    assert record["bytes"] == 5
    assert record["key"]
    assert record["key"] != MASTER_KEY
    assert "reason" not in record
    assert len(gateway.used_keys) == 1


async def test_a_silent_client_is_pinged_and_kept(gateway, vllm):
    async with gateway.connect() as client:
        for _ in range(5):
            await asyncio.to_thread(gateway.on_loop, pinged(gateway))
            await asyncio.to_thread(eventually, lambda: gateway.on_loop(has_heard(gateway)))
        await client.send("still here")
        assert await client.recv() == "still here"


async def pinged(gateway):
    """Its deadlines are looked at as if it had been silent for longer than it may be unasked."""
    [session] = gateway.server.websockets
    session.expire(session._heard_at + 1.5 * gateway.server.ping_seconds)
    assert session._pinged


async def has_heard(gateway):
    [session] = gateway.server.websockets
    return not session._pinged
