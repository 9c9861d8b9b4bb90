"""How long a client may take."""

from __future__ import annotations

import logging
import threading

from tests.aurora_site.server.apps import (
    GET,
    POST,
    Told,
    answer,
    echo,
    until_set,
)
from tests.aurora_site.server.client import Client
from tests.aurora_site.server.timed import HEAD_SECONDS, KEEP_ALIVE_SECONDS, TimedServer

HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"


def test_a_head_that_never_ends_is_a_408(serve, caplog):
    caplog.set_level(logging.INFO, "aurora.server")
    server = TimedServer(serve, echo)
    with Client(server.url) as dripping, Client(server.url) as later:
        dripping.send(HALF_A_HEAD)
        server.let_pass(0.6 * HEAD_SECONDS)
        dripping.send(b"X-Drip: 1\r\n")
        later.send(HALF_A_HEAD)
        server.let_pass(0.6 * HEAD_SECONDS)
        refused = dripping.answer()
        assert later.send(b"\r\n").answer().status == 200
    assert refused.status == 408
    [line] = [each for each in caplog.records if getattr(each, "fields", {}).get("status") == 408]
    assert line.fields["request_id"] == refused.headers["x-request-id"]


def test_a_connection_without_a_byte_is_closed_in_silence(serve):
    server = TimedServer(serve, echo)
    with Client(server.url) as silent:
        server.let_pass(0.6 * HEAD_SECONDS)
        with Client(server.url) as later:
            server.let_pass(0.6 * HEAD_SECONDS)
            assert silent.closed()
            assert later.send(GET).answer().status == 200


def test_an_idle_connection_is_closed_and_a_busy_one_is_not(serve):
    begun, may_end = Told(), threading.Event()

    async def app(scope, receive, send):
        if scope["path"] == "/busy":
            begun(None)
            await until_set(may_end)
        await answer(send)

    server = TimedServer(serve, app)
    with Client(server.url) as idle, Client(server.url) as busy, Client(server.url) as later:
        assert idle.send(GET).answer().status == 200
        busy.send(b"GET /busy HTTP/1.1\r\nHost: a\r\n\r\n")
        begun.get()
        assert later.send(GET).answer().status == 200
        server.let_pass(0.6 * KEEP_ALIVE_SECONDS)
        assert later.send(GET).answer().status == 200
        server.let_pass(0.6 * KEEP_ALIVE_SECONDS)
        assert idle.closed()
        assert later.send(GET).answer().status == 200
        may_end.set()
        assert busy.answer().status == 200


def test_a_slow_body_is_the_applications_affair(serve):
    server = TimedServer(serve, echo)
    with Client(server.url) as client:
        client.send(POST + b"Content-Length: 4\r\n\r\n")
        for byte in b"slow":
            server.let_pass(1000)
            client.send(bytes([byte]))
        assert client.answer().body == b"slow"
