"""Order, versions and framing of answers."""

from __future__ import annotations

import asyncio
import threading
import time
from email.utils import parsedate_to_datetime

import pytest

from tests.aurora_site.server.apps import (
    GET,
    answer,
    read_body,
    say_the_target,
    until_set,
)
from tests.aurora_site.server.client import Client


def test_pipelined_requests_are_answered_in_order(serve):
    async def app(scope, receive, send):
        body = await read_body(receive)
        await asyncio.sleep(0.05 if scope["path"] == "/0" else 0)
        await answer(send, body=scope["raw_path"] + body)

    raw = b"".join(
        b"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" % n
        + b"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n"
        % (n + 1)
        for n in range(0, 600, 2)
    )
    with Client(serve(app)) as client:
        client.send(raw)
        bodies = [client.answer().body for _ in range(600)]
    assert bodies == [b"/%d" % n + (b"z" if n % 2 else b"abc") for n in range(600)]


def test_a_refusal_waits_for_the_answers_before_it(serve):
    with Client(serve(say_the_target)) as client:
        client.send(GET + b"NONSENSE\r\n\r\n" + GET)
        assert [client.answer().status for _ in range(2)] == [200, 400]
        assert client.closed()


def test_http_1_0_is_answered_and_closed(serve):
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": scope["http_version"].encode()})

    with Client(serve(app)) as client:
        got = client.send(b"GET / HTTP/1.0\r\n\r\n").answer()
        assert got.body == b"a1.0"
        assert "transfer-encoding" not in got.headers


@pytest.mark.parametrize(
    ("raw", "to_head", "status"),
    [
        (b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", True, 200),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False, 204),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", False, 304),
    ],
)
def test_answers_without_a_body_have_none(serve, raw, to_head, status):
    async def app(scope, receive, send):
        await answer(send, status, b"body", [(b"x-kept", b"1")])

    with Client(serve(app)) as client:
        for _ in range(2):
            got = client.send(raw).answer(to_head=to_head)
            assert (got.status, got.headers["x-kept"]) == (status, "1")
            assert "transfer-encoding" not in got.headers
        assert client._unread == b""


def test_a_stream_arrives_chunk_for_chunk_and_its_head_before_its_first(serve):
    go_on = threading.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await until_set(go_on)
        for part in (b"data: 1\n\n", b"", b"data: 2\n\n"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    with Client(serve(app)) as client:
        head = client.send(GET)._until(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        go_on.set()
        ended = b"9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n"
        assert client._exactly(len(ended)) == ended


def test_a_client_or_application_that_asks_to_close_is_heeded(serve):
    async def app(scope, receive, send):
        headers = [(b"Connection", b"close")] if scope["path"] == "/close" else []
        await answer(send, headers=headers)

    url = serve(app)
    for raw in (
        b"GET /close HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n",
    ):
        with Client(url) as client:
            got = client.send(raw).answer()
            assert (got.body, got.headers["connection"]) == (b"ok", "close")
            assert client.closed()


def test_every_answer_says_when_it_was_made(serve):
    async def app(scope, receive, send):
        own = [(b"date", b"Mon, 01 Jan 2024 00:00:00 GMT")] if scope["path"] == "/own" else []
        await answer(send, headers=own)

    before = int(time.time())
    with Client(serve(app)) as client:
        made = parsedate_to_datetime(client.send(GET).answer().headers["date"])
        kept = client.send(GET.replace(b"/ ", b"/own ")).answer()
    assert before <= made.timestamp() <= time.time()
    assert kept.headers["date"] == "Mon, 01 Jan 2024 00:00:00 GMT"
