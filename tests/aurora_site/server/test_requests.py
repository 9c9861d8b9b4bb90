"""What of a request reaches the application, and when."""

from __future__ import annotations

import logging
import os
import threading
from uuid import UUID

import pytest

from gateway.headers import request_id
from tests.aurora_site.server.apps import (
    GET,
    MIB,
    POST,
    Told,
    answer,
    echo,
    read_body,
    say_the_target,
    send_until_stuck,
    until_set,
)
from tests.aurora_site.server.client import Client
from tests.patience import PATIENCE_SECONDS


def test_an_application_starts_before_the_body_has_arrived(serve):
    started = Told()

    async def app(scope, receive, send):
        started(scope)
        await echo(scope, receive, send)

    with Client(serve(app)) as client:
        client.send(POST + b"Content-Length: 5\r\n\r\n")
        started.get()
        assert client.send(b"hello").answer().body == b"hello"


def test_the_scope_holds_what_was_sent(serve):
    seen = Told()

    async def app(scope, receive, send):
        seen(scope)
        await answer(send)

    url = serve(app)
    with Client(url) as client:
        client.send(
            b"PUT /a%20b/%C3%BC?x=%201&y HTTP/1.1\r\nHost: a\r\nX-One:  1 \r\nX-One: 2\r\n"
            b"X_Forged: 1\r\nContent_Length: 3\r\n\r\n"
        )
        assert client.answer().status == 200
        scope = seen.get()
        assert set(scope.pop("extensions")) == {"aurora.gone"}
        assert scope == {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": "PUT",
            "path": "/a b/ü",
            "raw_path": b"/a%20b/%C3%BC",
            "query_string": b"x=%201&y",
            "root_path": "",
            "scheme": "http",
            "headers": [(b"host", b"a"), (b"x-one", b"1"), (b"x-one", b"2")],
            "client": client.socket.getsockname(),
            "server": client.socket.getpeername(),
        }


def test_bytes_beyond_ascii_in_a_header_are_taken_as_they_are(serve):
    seen = Told()

    async def app(scope, receive, send):
        seen(scope)
        await answer(send)

    with Client(serve(app)) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX-Name: Bj\xc3\x85rn \x85\xff\r\n\r\n")
        assert client.answer().status == 200
    assert seen.get()["headers"][1] == (b"x-name", b"Bj\xc3\x85rn \x85\xff")


def test_a_request_of_http_1_0_needs_no_host(serve):
    with Client(serve(say_the_target)) as client:
        assert client.send(b"GET /old HTTP/1.0\r\n\r\n").answer().body == b"/old"


def test_a_target_with_scheme_and_host_is_taken_by_its_path(serve):
    with Client(serve(say_the_target)) as client:
        client.send(b"GET http://a.example/v1/models?x=1 HTTP/1.1\r\nHost: a.example\r\n\r\n")
        assert client.answer().body == b"/v1/models"


@pytest.mark.parametrize("piece_bytes", [1, 7, 10_000])
def test_chunked_uploads_arrive_whole_however_they_are_cut(serve, piece_bytes):
    raw = (
        POST + b"Transfer-Encoding: Chunked\r\n\r\n"
        b"5;ext=1\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nTrailer: x\r\n\r\n"
    )
    with Client(serve(echo)) as client:
        for at in range(0, len(raw), piece_bytes):
            client.send(raw[at : at + piece_bytes])
        assert client.answer().body == b"hello world"
        assert client.send(GET).answer().status == 200


def test_a_large_upload_arrives_whole(serve):
    body = os.urandom(3 * MIB)
    with Client(serve(echo)) as client:
        client.send(POST + b"Content-Length: %d\r\n\r\n" % len(body))
        client.send(body)
        assert client.answer().body == body


def test_an_upload_that_the_application_does_not_read_is_held_back(serve):
    go_on, got = threading.Event(), Told()

    async def app(scope, receive, send):
        await until_set(go_on)
        got(len(await read_body(receive)))
        await answer(send)

    with Client(serve(app)) as client:
        client.send(POST + b"Content-Length: %d\r\n\r\n" % (64 * MIB))
        taken = send_until_stuck(client.socket, 64 * MIB)
        assert taken < 16 * MIB  # the rest is the kernel's, not the server's
        go_on.set()
        client.send(bytes(64 * MIB - taken))
        assert got.get() == 64 * MIB
        assert client.answer().status == 200


def test_the_100_comes_when_the_application_asks_for_the_body(serve):
    asked, may_ask = Told(), threading.Event()

    async def app(scope, receive, send):
        asked(None)
        await until_set(may_ask)
        await echo(scope, receive, send)

    with Client(serve(app)) as client:
        client.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        asked.get()
        client.socket.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.socket.settimeout(PATIENCE_SECONDS)
        may_ask.set()
        assert client.answer().status == 100
        assert client.send(b"hi").answer().body == b"hi"


def test_a_refusal_comes_instead_of_the_100(serve):
    async def app(scope, receive, send):
        await answer(send, 413, b"too large")

    with Client(serve(app)) as client:
        client.send(POST + b"Expect: 100-continue\r\nContent-Length: 99999999\r\n\r\n")
        assert client.answer().status == 413
        assert client.closed()


UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        (b"Sec-WebSocket-Version: 13\r\n", 400, "bad_request"),
        (b"Sec-WebSocket-Version: 13\r\n" + KEY, 403, "not_permitted"),
    ],
    ids=["a handshake without key", "a handshake that the application rejects"],
)
def test_a_refused_websocket_is_told_in_the_one_shape(serve, caplog, headers, status, code):
    caplog.set_level(logging.INFO, "aurora.server")

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.close"})

    with Client(serve(app)) as client:
        refused = client.send(UPGRADE + headers + b"\r\n").answer()
        assert (refused.status, refused.error["code"]) == (status, code)
        assert client.closed()
    [line] = [each for each in caplog.records if each.name == "aurora.server"]
    assert (line.fields["status"], line.fields["reason"]) == (status, refused.error["message"])
    assert line.fields["request_id"] == refused.headers["x-request-id"]


@pytest.mark.parametrize(
    ("sent", "named"), [(b"X-Request-Id: a\r\n", "a"), (b"", None)], ids=["given", "none"]
)
def test_an_application_finds_one_id_in_the_headers(serve, sent, named):
    seen: list[bytes] = []

    async def app(scope, receive, send):
        seen.extend(value for name, value in scope["headers"] if name == b"x-request-id")
        await answer(send)

    with Client(serve(app, request_id=request_id)) as client:
        client.send(GET.replace(b"\r\n\r\n", b"\r\n" + sent + b"\r\n"))
        assert client.answer().status == 200
    [found] = seen
    assert found.decode() == (named or str(UUID(found.decode())))


def test_a_failed_application_is_answered_and_logged_with_the_requests_id(serve, caplog):
    async def app(scope, receive, send):
        raise RuntimeError("on purpose")

    with Client(serve(app, request_id=request_id)) as client:
        failed = client.send(GET.replace(b"\r\n\r\n", b"\r\nX-Request-Id: a\r\n\r\n")).answer()
    [line] = [each for each in caplog.records if each.name == "aurora.server"]
    assert (failed.status, failed.headers["x-request-id"]) == (500, "a")
    assert line.fields["request_id"] == "a"
