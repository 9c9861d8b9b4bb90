"""That a client left, and that it has been answered early."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading

import pytest

from tests.aurora_site.server.apps import (
    GET,
    MIB,
    POST,
    Told,
    answer,
    echo,
    send_until_stuck,
    until_set,
    waits_for_disconnect,
)
from tests.aurora_site.server.client import Client
from tests.processes import eventually


def test_a_waiting_application_learns_that_its_client_left(serve):
    left = Told()
    with Client(serve(waits_for_disconnect(left))) as client:
        client.send(GET)
    left.get()


@pytest.mark.parametrize("half", [False, True])
def test_a_client_that_leaves_within_its_body_is_noticed(serve, half):
    left = Told()
    with Client(serve(waits_for_disconnect(left))) as client:
        client.send(POST + b"Content-Length: 10\r\n\r\nabc")
        client.socket.shutdown(socket.SHUT_WR) if half else client.socket.close()
        left.get()
        if half:
            refused = client.answer()
            assert (refused.status, refused.error["code"]) == (400, "bad_request")
            assert "ended" in refused.error["message"]
            assert client.closed()


@pytest.mark.parametrize("way", ["closes", "resets"])
def test_chunks_not_read_are_dropped_when_the_client_leaves(serve, server_thread, way):
    begun, looked, may_look = Told(), Told(), threading.Event()

    async def app(scope, receive, send):
        begun(None)
        await until_set(may_look)
        looked(await receive())

    url = serve(app)
    with Client(url) as client:
        client.send(POST + b"Content-Length: %d\r\n\r\n" % (64 * MIB))
        begun.get()
        if way == "closes":  # a FIN comes only behind what the kernel takes of the body
            client.send(bytes(400 * 1024))
        else:
            send_until_stuck(client.socket, 64 * MIB)
            linger = struct.pack("ii", 1, 0)
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    eventually(lambda: not server_thread.servers[url].connections_open)
    may_look.set()
    assert looked.get() == {"type": "http.disconnect"}


def test_receive_tells_of_a_disconnect_once_the_response_is_complete(serve):
    told = Told()

    async def app(scope, receive, send):
        await echo(scope, receive, send)
        told(await receive())

    with Client(serve(app)) as client:
        client.send(GET).answer()
        assert told.get() == {"type": "http.disconnect"}


def test_sending_to_a_client_that_left_does_nothing(serve):
    told = Told()

    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        await answer(send)
        told("returned")

    with Client(serve(app)) as client:
        client.send(GET)
    assert told.get() == "returned"


def test_cancelling_one_receive_leaves_another_waiting(serve):
    cancelled, told = Told(), Told()

    async def app(scope, receive, send):
        await receive()
        first, second = (asyncio.ensure_future(receive()) for _ in range(2))
        await asyncio.sleep(0.05)
        first.cancel()
        cancelled(None)
        told(await second)

    with Client(serve(app)) as client:
        client.send(GET)
        cancelled.get()
    assert told.get() == {"type": "http.disconnect"}


@pytest.mark.parametrize("framing", [b"Content-Length: %d\r\n" % (5 * MIB), b"chunked"])
def test_an_answer_before_the_body_is_read_reaches_a_client_that_still_sends(serve, framing):
    async def app(scope, receive, send):
        await answer(send, 401, b"no")

    body = bytes(5 * MIB)
    if framing == b"chunked":
        framing = b"Transfer-Encoding: chunked\r\n"
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    with Client(serve(app)) as client:
        client.send(POST + framing + b"\r\n").send(body)
        early = client.answer()
        assert (early.status, early.body) == (401, b"no")
        assert early.headers["connection"] == "close"
        assert client.closed()


def test_a_small_unread_body_does_not_cost_the_connection(serve):
    async def app(scope, receive, send):
        await asyncio.sleep(0.05)
        await answer(send, 401, b"no")

    with Client(serve(app)) as client:
        for _ in range(2):
            refused = client.send(POST + b"Content-Length: 3\r\n\r\nabc").answer()
            assert refused.status == 401
            assert "connection" not in refused.headers
