"""More connections than there may be: which one goes for a newcomer."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.aurora_site.server.apps import GET, MIB, POST, answer, read_body, until_set
from tests.aurora_site.server.client import Client
from tests.aurora_site.server.test_websockets import TEXT, WebSocketClient, frame
from tests.clock import Clock
from tests.processes import eventually

MOST = 6
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
OTHERS = "127.0.0.2"
"""Another address of loopback than clients have by themselves."""


class Rig:
    """A server of MOST connections, which answers at /held only when it is told to."""

    def __init__(self, serve: Callable[..., str], thread: object, stack: contextlib.ExitStack):
        self.may_answer, self.clock = threading.Event(), Clock()
        self.url = serve(self, most_connections=MOST, clock=self.clock, sweep_seconds=0.005)
        self.server = thread.servers[self.url]  # type: ignore[attr-defined]
        self._stack = stack

    async def __call__(self, scope, receive, send):
        if scope["type"] == "websocket":
            await echo_frames(receive, send)
            return
        await read_body(receive)
        if scope["path"] == "/held":
            await until_set(self.may_answer)
        await answer(send, body=bytes(8 * MIB) if scope["path"] == "/large" else b"ok")

    def connect(self, sent: bytes = b"", source: str = "", **options: int) -> Client:
        """With `sent` taken in by the server."""
        before = len(self.server.room)
        client = self._stack.enter_context(Client(self.url, source=source, **options))
        if before < MOST:
            eventually(lambda: len(self.server.room) == before + 1)
        return client.send(sent)

    def idle(self, source: str = "") -> Client:
        client = self.connect(GET, source)
        assert client.answer().status == 200
        return client

    def is_served(self, client: Client) -> bool:
        return client.send(GET).answer().status == 200


async def echo_frames(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


@pytest.fixture
def rig(serve, server_thread) -> Iterator[Rig]:
    with contextlib.ExitStack() as stack:
        rig = Rig(serve, server_thread, stack)
        yield rig
        rig.may_answer.set()


def test_the_connection_that_is_idle_for_longest_goes_first(rig):
    idle = [rig.idle() for _ in range(MOST)]
    assert rig.is_served(idle[0])

    for gone in (idle[1], idle[2]):
        assert rig.is_served(rig.connect())
        assert gone.closed()
    assert rig.is_served(idle[0])
    assert rig.is_served(idle[3])


def test_an_idle_connection_goes_before_one_that_dawdles_of_the_address_that_has_most(rig):
    slow = [rig.connect(HALF_A_HEAD) for _ in range(MOST - 1)]
    idle = rig.idle(OTHERS)

    assert rig.is_served(rig.connect(source=OTHERS))
    assert idle.closed()
    assert slow[0].send(b"\r\n").answer().status == 200


@pytest.mark.parametrize("sent", [b"", HALF_A_HEAD], ids=["nothing", "half a head"])
def test_slow_heads_of_one_address_keep_no_other_out(rig, sent):
    slow = [rig.connect(sent) for _ in range(MOST)]

    assert rig.is_served(rig.connect(source=OTHERS))
    assert slow[0].closed()
    assert slow[1].send(b"\r\n" if sent else GET).answer().status == 200


def test_bodies_that_never_come_keep_no_other_out(rig):
    slow = [rig.connect(POST + b"Content-Length: 9\r\n\r\n") for _ in range(MOST)]

    assert rig.is_served(rig.connect(source=OTHERS))
    assert slow[0].closed()


def test_answers_that_nobody_reads_keep_no_other_out(rig):
    large = b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n"
    unread = [rig.connect(large, receive_buffer_bytes=65536) for _ in range(MOST)]
    eventually(lambda: all(each.blocked for each in rig.server.connections_open))
    rig.clock.let_pass(2)

    assert rig.is_served(rig.connect(source=OTHERS))
    with pytest.raises((EOFError, ConnectionResetError)):
        unread[0].answer()


@pytest.mark.parametrize("more", [b"", b"Connection: close\r\n"], ids=["kept", "closing"])
def test_an_answer_that_has_just_been_made_reaches_its_client(rig, more):
    large = b"GET /large HTTP/1.1\r\nHost: a\r\n" + more + b"\r\n"
    clients = [rig.connect(large, receive_buffer_bytes=65536) for _ in range(MOST)]
    connections = rig.server.connections_open
    eventually(lambda: [each for each in connections if each._unsent()] == list(connections))

    assert rig.connect(source=OTHERS).closed()
    assert {len(each.answer().body) for each in clients} == {8 * MIB}


def test_refused_clients_that_send_on_keep_no_other_out(rig):
    refused = [rig.connect(b"NONSENSE\r\n\r\n") for _ in range(MOST)]
    assert {each.answer().status for each in refused} == {400}

    assert rig.is_served(rig.connect(source=OTHERS))
    assert refused[0].closed()


def test_websockets_count_and_one_of_many_makes_room(rig):
    sockets = []
    for _ in range(MOST):
        sockets.append(rig._stack.enter_context(WebSocketClient(rig.url)))
    eventually(lambda: len(rig.server.websockets) == MOST)

    assert rig.is_served(rig.connect(source=OTHERS))
    assert sockets[0].closed()
    sockets[1].send(frame(TEXT, b"hi"))
    assert sockets[1].read() == (TEXT, b"hi")


def test_calls_never_go(rig):
    held = b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n"
    calls = [rig.connect(held) for _ in range(MOST)]
    eventually(lambda: len(rig.server.tasks) == MOST)

    assert rig.connect(source=OTHERS).closed()
    rig.may_answer.set()
    assert {each.answer().status for each in calls} == {200}


def test_behind_a_proxy_a_newcomer_of_the_same_address_ends_nothing_that_is_young(rig):
    begun = [rig.connect(HALF_A_HEAD) for _ in range(MOST)]

    assert rig.connect().closed()
    assert {each.send(b"\r\n").answer().status for each in begun} == {200}


def test_of_the_same_address_the_oldest_goes_that_brings_no_head(rig):
    slow = [rig.connect(HALF_A_HEAD) for _ in range(MOST)]
    eventually(lambda: all(each._arrived for each in rig.server.connections_open))
    rig.clock.let_pass(2)

    assert rig.is_served(rig.connect())
    assert slow[0].closed()
    assert slow[1].send(b"\r\n").answer().status == 200


def test_an_address_that_has_nearly_as_many_as_any_other_gets_nobody_elses(rig):
    held = b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n"
    for source in ("", "", "", OTHERS, OTHERS, OTHERS):
        rig.connect(held if source else HALF_A_HEAD, source)
    eventually(lambda: len(rig.server.tasks) == MOST // 2)

    assert rig.connect(source=OTHERS).closed()


def test_the_log_says_once_a_minute_that_there_are_too_many(rig, caplog):
    with caplog.at_level(logging.WARNING, "aurora.server"):
        slow = [rig.connect(HALF_A_HEAD) for _ in range(MOST)]
        for _ in range(3):
            assert rig.connect().closed()
    [line] = caplog.records
    assert line.fields == {
        "connections": MOST,
        "client": "127.0.0.1",
        "of_this_client": MOST,
        "ended": "none",
    }
    assert len(slow) == MOST


def test_the_next_request_waits_until_the_answer_before_it_is_with_the_system(serve, server_thread):
    """Also where the transport would take more of it."""
    body_bytes = 48 * 1024

    async def app(scope, receive, send):
        await answer(send, body=bytes(body_bytes))

    url = serve(app)
    with Client(url, receive_buffer_bytes=4096) as client:
        client.send(GET * 400)
        [connection] = eventually(lambda: list(server_thread.servers[url].connections_open))
        eventually(lambda: connection.blocked)
        assert 0 < connection._unsent() <= body_bytes
        for _ in range(400):
            assert len(client.answer().body) == body_bytes
