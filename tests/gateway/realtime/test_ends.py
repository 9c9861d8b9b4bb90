"""Either side's end ends the other, at once and with the code it gave."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from tests.mounted import provider
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.realtime_mounted import MODEL, end_of
from tests.scripted_realtime import until_closed
from tests.tcp_options import KEEP_ALIVE, keep_alive_of, to_server

pytestmark = pytest.mark.anyio

MOST_MESSAGE_BYTES = 16 * 2**20
CODES = [
    (1000, ""),
    (1000, "done"),
    (1001, ""),
    (1008, "no"),
    (1011, "broke"),
    (3000, "ü" * 61 + "x"),
    (4999, "x"),
]


@pytest.mark.parametrize(("code", "reason"), CODES)
async def test_the_clients_close_reaches_the_server_as_it_is(gateway, vllm, code, reason):
    async with gateway.connect() as client:
        await client.send("before")
        await client.recv()
        await client.close(code, reason)
        ended = await vllm.ended()
        assert end_of(client) == (code, reason)

    assert (ended.code, ended.reason) == (code, reason)
    record = await gateway.record()
    assert record.get("reason") == (None if code < 1002 else f"the client closed: {code}")


@pytest.mark.parametrize(("code", "reason"), CODES)
async def test_the_servers_close_reaches_the_client_behind_its_last_message(
    gateway, vllm, code, reason
):
    async def speak_and_close(session):
        await session.send("last")
        await session.close(code, reason)

    vllm.will(speak_and_close)
    async with gateway.connect() as client:
        assert await client.recv() == "last"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client) == (code, reason)
    ended = await vllm.ended()

    assert (ended.code, ended.reason) == (code, reason)  # the answer to its own
    record = await gateway.record()
    assert (record["status"], record.get("reason")) == (
        101,
        None if code < 1002 else f"the server closed: {code}",
    )


async def test_a_close_without_a_code_stays_without_one(gateway, vllm):
    async with gateway.connect() as client:
        await _close_without_code(client)
        assert (await vllm.ended()).code == 1005


async def test_a_servers_close_without_a_code_stays_without_one(gateway, vllm):
    vllm.will(_close_without_code)
    async with gateway.connect() as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client) == (1005, "")


async def _close_without_code(side):
    side.protocol.send_close()
    side.transport.write(b"".join(side.protocol.data_to_send()))
    await side.wait_closed()


async def test_all_that_a_client_said_before_its_close_arrives(gateway, vllm):
    heard = []

    async def listen(session):
        async for message in session:
            heard.append(message)

    vllm.will(listen)
    async with gateway.connect() as client:
        for n in range(500):
            await client.send(f"{n}")
    await vllm.ended()

    assert heard == [f"{n}" for n in range(500)]


@pytest.mark.parametrize("way", ["abort", "close"], ids=["reset", "without a word"])
async def test_a_client_that_vanishes_ends_the_servers_side(gateway, vllm, way):
    async with gateway.connect() as client:
        await vllm.began()
        getattr(client.transport, way)()
        ended = await vllm.ended()

    assert ended.code == 1001
    assert (await gateway.record())["reason"] == "the client left"


@pytest.mark.parametrize("way", ["abort", "close"], ids=["reset", "without a word"])
async def test_a_server_that_vanishes_ends_the_clients_side(gateway, vllm, way):
    async with gateway.connect() as client:
        session = await vllm.began()
        getattr(session.transport, way)()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client)[0] == 1011

    record = await gateway.record()
    assert (record["status"], record["reason"].split(":")[0]) == (101, "upstream_broke")


async def test_a_message_of_the_client_that_is_too_long_ends_both_sides(gateway, vllm):
    async with gateway.connect() as client:
        with contextlib.suppress(ConnectionClosed):
            await client.send(bytes(MOST_MESSAGE_BYTES + 1))
        await client.wait_closed()
        assert end_of(client)[0] == 1009
        assert (await vllm.ended()).code == 1009


async def test_a_message_of_the_server_that_is_too_long_ends_both_sides(gateway, vllm):
    async def speak(session):
        await session.send(bytes(MOST_MESSAGE_BYTES + 1))
        await session.wait_closed()

    vllm.will(speak)
    async with gateway.connect() as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client)[0] == 1009
        assert (await vllm.ended()).code == 1009


async def test_a_message_of_the_greatest_length_crosses(gateway, vllm):
    message = bytes(MOST_MESSAGE_BYTES)
    async with gateway.connect() as client:
        await client.send(message)
        assert await client.recv() == message


async def test_a_server_that_sends_no_frames_ends_the_clients_side(gateway, vllm):
    async def babble(session):
        session.transport.write(b"\xff\xff this is no frame")
        await session.wait_closed()

    vllm.will(babble)
    async with gateway.connect() as client:
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client)[0] == 1011
    assert (await gateway.record())["reason"].startswith("upstream_broke")


async def test_a_client_that_sends_bad_utf8_ends_both_sides(gateway, vllm):
    async with gateway.connect() as client:
        await client.send(b"\xff\xfe", text=True)
        await client.wait_closed()
        assert end_of(client)[0] == 1007
        assert (await vllm.ended()).code == 1007


async def test_a_stop_ends_sessions_when_the_drain_is_over(server_thread, gateway, vllm):
    vllm.will(until_closed)
    async with gateway.connect() as client:
        await vllm.began()
        gateway.server.stop()
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert end_of(client) == (1001, "Aurora is stopping")
        assert (await vllm.ended()).code == 1001

    assert (await gateway.record())["reason"] == "cancelled: Aurora is stopping"


@pytest.mark.parametrize("options", [{"drain_seconds": NEVER_SECONDS}])
async def test_a_session_that_ends_within_the_drain_ends_it(server_thread, gateway, vllm, options):
    async with gateway.connect() as client:
        gateway.server.stop()
        await client.send("still served")
        assert await client.recv() == "still served"
    stopped = await asyncio.to_thread(gateway.server.stopped.wait, PATIENCE_SECONDS)

    assert stopped


async def test_a_session_outlives_a_change_of_its_provider(gateway, vllm):
    async with gateway.connect() as client:
        gateway.publish(provider(vllm.url, "omega", models=(MODEL,)))
        await client.send("hello")
        assert await client.recv() == "hello"


async def test_a_side_whose_link_goes_down_is_noticed(gateway, vllm):
    async with gateway.connect():
        await vllm.began()
        [of_client] = gateway.server.websockets

        assert keep_alive_of(of_client.transport.getHandle()) == KEEP_ALIVE
        assert keep_alive_of(to_server(gateway._door)) == KEEP_ALIVE
