"""The database's host is silent: the admin says so soon, one request at a time finds out, and calls
go on."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest

from gateway import bounded
from gateway.admission.visits import Visitor
from tests.process.databases import Database, Postgres
from tests.process.running import Aurora
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

AT_ONCE = bounded.AT_ONCE[Visitor.KEY]

MASTER_KEY = "sk-of-the-slow-database-0123456789"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
CONNECT_SECONDS = 2
"""The least that PostgreSQL's library takes for a limit."""


class Silenceable:
    """Hands bytes through to the database's server, until it is told to be silent."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._may_speak = threading.Event()
        self._may_speak.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self.connections = 0
        self._start(self._accept)

    def silence(self) -> None:
        self._may_speak.clear()

    def speak(self) -> None:
        self._may_speak.set()

    def close(self) -> None:
        self.speak()
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._server)
                self._sockets += [client, server]
                self.connections += 1
                self._start(self._hand_over, client, server)
                self._start(self._hand_over, server, client)

    def _hand_over(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                self._hand_on(piece, target)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def _hand_on(self, piece: bytes, target: socket.socket) -> None:
        self._may_speak.wait()
        target.sendall(piece)

    def _start(self, work: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=work, args=arguments, daemon=True).start()


@pytest.fixture
def between(database: Database) -> Iterator[tuple[Silenceable, dict[str, str]]]:
    """What can be silenced, and the settings to reach the database through it."""
    if not isinstance(database, Postgres):
        pytest.skip("a file has no host")
    address = urlsplit(database.root_url)
    with ExitStack() as stack:
        proxy = Silenceable(address.hostname or "127.0.0.1", address.port or 5432)
        stack.callback(proxy.close)
        login = address.netloc.rpartition("@")[0]
        netloc, query = f"{login}@127.0.0.1:{proxy.port}", f"connect_timeout={CONNECT_SECONDS}"
        through = address._replace(netloc=netloc, query=query)
        yield proxy, dict(replace(database, root_url=through.geturl()).settings)


def add_keys(aurora: Aurora, count: int) -> list[httpx.Response]:
    """So many requests at once that change something."""

    def add(number: int) -> httpx.Response:
        return aurora.post("/api/keys", MASTER_KEY, {"name": f"key {number}"})

    with ThreadPoolExecutor(count) as callers:
        return list(callers.map(add, range(count)))


def test_a_silent_host_holds_up_one_request_at_a_time(
    serve, vllm: ScriptedVllm, between: tuple[Silenceable, dict[str, str]]
) -> None:
    host, settings = between
    aurora = serve(AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=vllm.url, **settings)
    eventually(lambda: aurora.models(MASTER_KEY) == [MODEL])

    host.silence()
    first = add_keys(aurora, 3 * AT_ONCE)
    tried, began = host.connections, time.monotonic()
    then = add_keys(aurora, 3 * AT_ONCE)
    tried, took_seconds = host.connections - tried, time.monotonic() - began
    assert aurora.chat(MASTER_KEY, MODEL).status_code == 200
    host.speak()

    told = {(each.status_code, each.json()["error"]["code"]) for each in first + then}
    assert told == {(503, "database_unavailable")}
    one_after_the_other = 1 + took_seconds / CONNECT_SECONDS
    assert tried <= 2 * one_after_the_other, "of requests, and of what reads for the calls"
    eventually(lambda: aurora.get("/api/keys", MASTER_KEY).is_success)
