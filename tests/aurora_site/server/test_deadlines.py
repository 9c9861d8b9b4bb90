"""How long a client may take."""

from __future__ import annotations

import asyncio
import logging
import time

from tests.aurora_site.server.apps import (
    GET,
    POST,
    answer,
    echo,
)
from tests.aurora_site.server.client import Client


def test_a_head_that_never_ends_is_a_408(serve, caplog):
    caplog.set_level(logging.INFO, "aurora.server")
    with Client(serve(echo, head_seconds=0.3)) as client:
        began = time.monotonic()
        client.send(b"GET / HTTP/1.1\r\n")
        client.socket.settimeout(0.05)
        while time.monotonic() - began < 2:
            try:
                client._unread = client.send(b"X-Drip: 1\r\n").socket.recv(4096)
            except TimeoutError:
                continue
            break
        assert 0.25 < time.monotonic() - began < 1
        refused = client.answer()
    assert refused.status == 408
    [line] = [each for each in caplog.records if each.name == "aurora.server"]
    assert line.fields["request_id"] == refused.headers["x-request-id"]


def test_a_connection_without_a_byte_is_closed_in_silence(serve):
    with Client(serve(echo, head_seconds=0.2)) as client:
        assert 0.1 < client.seconds_until_closed() < 1


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(serve):
    async def app(scope, receive, send):
        await asyncio.sleep(0.5)
        await answer(send)

    with Client(serve(app, keep_alive_seconds=0.2, head_seconds=0.2)) as client:
        assert client.send(GET).answer().status == 200
        assert 0.1 < client.seconds_until_closed() < 1


def test_a_slow_body_is_the_applications_affair(serve):
    limits = {"keep_alive_seconds": 0.1, "head_seconds": 0.1, "client_stall_seconds": 0.1}
    with Client(serve(echo, **limits)) as client:
        client.send(POST + b"Content-Length: 4\r\n\r\n")
        for byte in b"slow":
            time.sleep(0.15)
            client.send(bytes([byte]))
        assert client.answer().body == b"slow"
