"""The database answers nobody, or only the first: the admin says so soon, and calls go on."""

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

from aurora_site.outages import LOCK_SECONDS
from gateway.bounded import AT_ONCE
from tests.process.databases import Database, Postgres
from tests.process.running import LIVE_SECONDS, Aurora
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-slow-database-0123456789"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
CONNECT_SECONDS = 5.0
MOST_SLACK_SECONDS = 4.0
"""For a machine that is busy with something else."""
RECOVERY_SECONDS = CONNECT_SECONDS + MOST_SLACK_SECONDS


class Silenceable:
    """Hands bytes through to the database's server, until it is told to be silent."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._may_speak = threading.Event()
        self._may_speak.set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
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
                self._start(self._hand_over, client, server)
                self._start(self._hand_over, server, client)

    def _hand_over(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                self._may_speak.wait()
                target.sendall(piece)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

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
        netloc = f"{login}@127.0.0.1:{proxy.port}"
        through = replace(database, root_url=address._replace(netloc=netloc).geturl())
        yield proxy, dict(through.settings)


def asked(aurora: Aurora, count: int) -> list[tuple[float, httpx.Response]]:
    """So many requests at once that change something, and the seconds that each took."""

    def ask(number: int) -> tuple[float, httpx.Response]:
        began = time.monotonic()
        body = {"name": f"key {number}"}
        answer = httpx.post(
            f"{aurora.url}/api/keys",
            json=body,
            headers={"Authorization": f"Bearer {MASTER_KEY}"},
            timeout=60.0,
            trust_env=False,
        )
        return time.monotonic() - began, answer

    with ThreadPoolExecutor(count) as callers:
        return list(callers.map(ask, range(count)))


def assert_all_unavailable(answers: list[tuple[float, httpx.Response]]) -> None:
    told = {(each.status_code, each.json()["error"]["code"]) for _, each in answers}
    assert told == {(503, "database_unavailable")}


def test_what_waits_for_a_lock_is_refused_soon(
    serve, database: Database, vllm: ScriptedVllm
) -> None:
    aurora = serve(AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=vllm.url)
    eventually(lambda: aurora.models(MASTER_KEY) == [MODEL], LIVE_SECONDS)

    with database.locked():
        answers = asked(aurora, 2 * AT_ONCE)
        assert aurora.chat(MASTER_KEY, MODEL).status_code == 200

    assert_all_unavailable(answers)
    assert min(seconds for seconds, _ in answers) > LOCK_SECONDS - 0.5
    assert max(seconds for seconds, _ in answers) < 2 * LOCK_SECONDS + MOST_SLACK_SECONDS
    eventually(lambda: aurora.get("/api/keys", MASTER_KEY).is_success, RECOVERY_SECONDS)


def test_a_silent_host_holds_up_one_request_at_a_time(
    serve, vllm: ScriptedVllm, between: tuple[Silenceable, dict[str, str]]
) -> None:
    host, settings = between
    aurora = serve(AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=vllm.url, **settings)
    eventually(lambda: aurora.models(MASTER_KEY) == [MODEL], LIVE_SECONDS)

    host.silence()
    first, then = asked(aurora, 3 * AT_ONCE), asked(aurora, 3 * AT_ONCE)
    assert aurora.chat(MASTER_KEY, MODEL).status_code == 200
    host.speak()

    assert_all_unavailable(first + then)
    assert max(seconds for seconds, _ in first) < 2 * CONNECT_SECONDS + MOST_SLACK_SECONDS
    *others, longest = sorted(seconds for seconds, _ in then)
    assert max(others) < CONNECT_SECONDS, "they were not to wait for it"
    assert longest < CONNECT_SECONDS + MOST_SLACK_SECONDS
    eventually(lambda: aurora.get("/api/keys", MASTER_KEY).is_success, RECOVERY_SECONDS)
