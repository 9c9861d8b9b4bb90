"""WebSockets as an application sees them, frame by frame on the wire."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
import threading

import pytest

from aurora_site.server.websockets import CLOSING_SECONDS, FREE_FRAGMENTS
from gateway.headers import request_id
from gateway.memory import Memory
from tests.aurora_site.server.apps import GET, MIB, STUCK_SECONDS, Told, answer, until_set
from tests.aurora_site.server.client import Client
from tests.aurora_site.server.timed import PING_SECONDS, TimedServer
from tests.processes import eventually
from tests.raw_http import RESET_ON_CLOSE

UPGRADE = (
    b"GET /ws?a=1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


def frame(first: int, payload: bytes) -> bytes:
    """Of a client: masked, with a mask of zeros; up to 125 bytes."""
    return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload


def close_frame(code: int, reason: str = "") -> bytes:
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


class WebSocketClient(Client):
    """Has a session from the start."""

    def __init__(self, url: str, headers: bytes = b"") -> None:
        super().__init__(url)
        self.send(UPGRADE + headers + b"\r\n")
        self.head = self._until(b"\r\n\r\n").decode()

    def __enter__(self) -> WebSocketClient:
        return self

    def read(self) -> tuple[int, bytes]:
        """The next frame, of up to 125 bytes."""
        first, length = self._exactly(2)
        return first, self._exactly(length)

    def read_close(self) -> tuple[int | None, str]:
        first, payload = self.read()
        assert first == CLOSE
        code = struct.unpack("!H", payload[:2])[0] if payload else None
        return code, payload[2:].decode()


async def accept(receive, send, **more):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", **more})


async def echo(scope, receive, send):
    await accept(receive, send)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})


def test_the_scope_and_the_head_hold_what_each_side_said(serve):
    seen = Told()

    async def app(scope, receive, send):
        seen(scope)
        await accept(receive, send, subprotocol="two", headers=[(b"x-told", b"1")])
        await receive()

    offer = b"Sec-WebSocket-Protocol: one, two\r\nsec-websocket-protocol: three,one\r\n"
    with WebSocketClient(
        serve(app, request_id=request_id), offer + b"X-Request-Id: r\r\n"
    ) as client:
        assert client.head.startswith("HTTP/1.1 101 ")
        assert "\r\nx-told: 1" in client.head
        assert "Sec-WebSocket-Protocol: two" in client.head
        assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in client.head
        scope = seen.get()
    assert scope["subprotocols"] == ["one", "two", "three"]
    assert (scope["type"], scope["scheme"], scope["path"]) == ("websocket", "ws", "/ws")
    assert (scope["raw_path"], scope["query_string"]) == (b"/ws", b"a=1")
    assert (b"x-request-id", b"r") in scope["headers"]


@pytest.mark.parametrize("first", [TEXT, BINARY])
@pytest.mark.parametrize("payload", [b"", b"hi"])
def test_a_message_is_told_and_sent_even_if_it_is_empty(serve, first, payload):
    with WebSocketClient(serve(echo)) as client:
        client.send(frame(first, payload))
        assert client.read() == (first, payload)


def test_what_comes_with_the_head_is_not_lost(serve):
    with Client(serve(echo)) as client:
        client.send(UPGRADE + b"\r\n" + frame(TEXT, b"early"))
        client._until(b"\r\n\r\n")
        assert client._exactly(7) == b"\x81\x05early"


def test_a_second_head_is_no_second_handshake(serve):
    """While the application decides, what comes is neither looked at nor kept without bound."""
    decide = asyncio.Event()

    async def app(scope, receive, send):
        await receive()
        asyncio.get_running_loop().call_later(0.1, decide.set)
        await decide.wait()
        await send({"type": "websocket.close"})

    with Client(serve(app)) as client:
        client.send(UPGRADE + b"\r\n")
        client.send(UPGRADE + b"\r\n")
        assert client.answer().status == 403


def test_an_application_may_refuse_as_http_does(serve):
    async def app(scope, receive, send):
        assert "websocket.http.response" in scope["extensions"]
        await receive()
        start = {"type": "websocket.http.response.start", "status": 418}
        await send({**start, "headers": [(b"content-type", b"text/plain"), (b"x-a", b"1")]})
        await send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"tea"})

    with Client(serve(app)) as client:
        refused = client.send(UPGRADE + b"\r\n").answer()
        assert (refused.status, refused.body, refused.headers["x-a"]) == (418, b"no tea", "1")
        assert refused.headers["connection"] == "close"
        assert client.closed()


@pytest.mark.parametrize("accepted", [False, True])
@pytest.mark.parametrize("raises", [False, True])
def test_an_application_that_fails_is_answered_for(serve, caplog, accepted, raises):
    caplog.set_level(logging.ERROR, "aurora.server")

    async def app(scope, receive, send):
        if accepted:
            await accept(receive, send)
        if raises:
            raise LookupError

    if accepted:
        with WebSocketClient(serve(app)) as client:
            assert client.read_close()[0] == 1011
    else:
        with Client(serve(app)) as plain:
            refused = plain.send(UPGRADE + b"\r\n").answer()
            assert (refused.status, refused.error["code"]) == (500, "internal_error")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("code", "reason", "read"),
    [
        (1000, "", (1000, "")),
        (1001, "away", (1001, "away")),
        (1011, None, (1011, "")),
        (4321, "ü" * 100, (4321, "ü" * 61)),
        (1005, "", (None, "")),
    ],
)
def test_an_application_closes_with_any_code(serve, code, reason, read):
    told = Told()

    async def app(scope, receive, send):
        await accept(receive, send)
        await send({"type": "websocket.close", "code": code, "reason": reason})
        told(await receive())

    with WebSocketClient(serve(app)) as client:
        assert client.read_close() == read
        client.send(close_frame(4000, "me too"))
        assert client.closed()
    assert told.get() == {"type": "websocket.disconnect", "code": 4000, "reason": "me too"}


@pytest.mark.parametrize(
    ("sent", "code", "reason"),
    [
        (close_frame(1001, "bye"), 1001, "bye"),
        (frame(CLOSE, b""), 1005, ""),
        (close_frame(999), 1002, None),
        (b"\xff\xff", 1002, None),
        (frame(TEXT, b"\xff"), 1007, None),
        (b"\x82\xff" + (16 * 2**20 + 1).to_bytes(8, "big") + bytes(4), 1009, None),
        (None, 1006, ""),
    ],
    ids=["code", "no code", "bad code", "no frame", "bad text", "too long", "gone"],
)
def test_a_clients_end_is_told_with_its_code(serve, sent, code, reason):
    told = Told()

    async def app(scope, receive, send):
        await accept(receive, send)
        by_extension = await scope["extensions"]["aurora.gone"]()
        assert by_extension == await receive()
        told(by_extension)

    with WebSocketClient(serve(app)) as client:
        if sent:
            client.send(sent)
            assert client.read_close()[0] == (None if code == 1005 else code)
        else:
            client.socket.close()
        said = told.get()
    assert (said["type"], said["code"]) == ("websocket.disconnect", code)
    assert reason is None or said["reason"] == reason


def test_a_client_that_does_not_answer_a_close_is_cut(serve):
    async def app(scope, receive, send):
        await accept(receive, send)
        await send({"type": "websocket.close"})
        assert (await receive())["code"] == 1006

    server = TimedServer(serve, app)
    with WebSocketClient(server.url) as client:
        assert client.read_close()[0] == 1000
        server.let_pass(2 * CLOSING_SECONDS + 1)  # at the latest now it is seen to be closing
        server.let_pass(2 * CLOSING_SECONDS + 1)
        assert client.closed()


def test_a_silent_client_is_pinged_and_then_cut(serve):
    told = Told()

    async def app(scope, receive, send):
        await accept(receive, send)
        told(await receive())

    server = TimedServer(serve, app)
    with WebSocketClient(server.url) as client:
        server.let_pass(1.2 * PING_SECONDS)
        assert client.read()[0] == PING
        client.send(frame(PONG, b""))
        server.let_pass(1.2 * PING_SECONDS)
        assert client.read()[0] == PING
        server.let_pass(1.2 * PING_SECONDS)
        assert client.closed()
    assert told.get()["code"] == 1006


def test_messages_that_nobody_takes_are_not_read_on_and_a_leaving_client_is_noticed(serve):
    told = Told()

    async def app(scope, receive, send):
        await accept(receive, send)
        told(await scope["extensions"]["aurora.gone"]())

    messages, sent_bytes = frame(BINARY, b"") * 10_000, 0
    with WebSocketClient(serve(app)) as client:
        client.socket.settimeout(STUCK_SECONDS)
        with contextlib.suppress(TimeoutError):
            while sent_bytes < 64 * MIB:
                sent_bytes += client.socket.send(messages)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    assert sent_bytes < 32 * MIB
    assert told.get()["code"] == 1006


def test_a_websocket_counts_as_a_connection(serve):
    url = serve(echo, most_connections=1)
    with WebSocketClient(url) as client, Client(url) as second:
        assert second.closed()
        client.send(close_frame(1000))
        client.read_close()
        assert client.closed()
    with WebSocketClient(url):
        """The place is free again."""


def test_a_connection_is_kept_beside_websockets(serve):
    async def app(scope, receive, send):
        if scope["type"] == "http":
            await answer(send)
        else:
            await echo(scope, receive, send)

    url = serve(app)
    with Client(url) as plain, WebSocketClient(url) as client:
        assert plain.send(GET).answer().status == 200
        client.send(frame(TEXT, b"hi"))
        assert client.read() == (TEXT, b"hi")
        assert plain.send(GET).answer().status == 200


def fragments(count: int) -> bytes:
    """A message of so many bytes, in a frame for each."""
    return frame(0x01, b"a") + frame(0x00, b"a") * (count - 2) + frame(0x80, b"a")


def test_a_message_in_thousands_of_fragments_is_one_message(serve):
    lengths = []

    async def app(scope, receive, send):
        await accept(receive, send)
        while (message := await receive())["type"] == "websocket.receive":
            lengths.append(len(message["text"]))
            await send({"type": "websocket.send", "text": "taken"})

    with WebSocketClient(serve(app)) as client:
        for _ in range(2):  # of each message anew
            client.send(fragments(FREE_FRAGMENTS))
            assert client.read() == (TEXT, b"taken")
    assert lengths == [FREE_FRAGMENTS] * 2


def test_a_message_in_too_many_small_fragments_is_1008(serve):
    with WebSocketClient(serve(echo)) as client:
        client.send(fragments(FREE_FRAGMENTS + 1000))
        assert client.read_close() == (1008, "a message in too many small fragments")


@pytest.mark.parametrize("takes", ["before", "after", "nothing"])
def test_messages_that_nobody_takes_any_more_are_held_no_more(serve, takes):
    """Whether the application ends before the client, or after it."""
    memory, ended, may_end = Memory(MIB), Told(), threading.Event()

    async def app(scope, receive, send):
        await accept(receive, send)
        if takes == "before":
            await until_set(may_end)
            await receive()
            raise RuntimeError("the application ends by itself")
        await scope["extensions"]["aurora.gone"]()
        if takes == "after":
            await receive()
        ended(True)

    large = bytes([BINARY, 0xFF]) + (100 * 1024).to_bytes(8, "big") + bytes(4) + bytes(100 * 1024)
    with WebSocketClient(serve(app, hold=memory.moved)) as client:
        client.send(large * 3)
        eventually(lambda: memory.used_bytes > 300 * 1024)
        if takes == "before":
            may_end.set()
            client.read_close()
    if takes != "before":
        assert ended.get()
    assert eventually(lambda: memory.used_bytes == 0)
