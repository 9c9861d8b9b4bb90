"""Sessions that begin alike go to a few servers, and to the same from every process."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from providers.homes import LEAST_HOMES
from tests.loopback import CLIENT
from tests.process.databases import Database
from tests.process.running import Aurora
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-homes-0123456789"
AUTHORIZED = {"Authorization": f"Bearer {MASTER_KEY}"}
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
SERVERS = 8
SYSTEM = "You answer for the department of lost umbrellas. " * 20


class Sessions:
    """Each call is of a new one, and goes to the processes in turns."""

    def __init__(self, clients: list[httpx.Client], servers: list[ScriptedVllm]) -> None:
        self._turns, self._servers = itertools.cycle(clients), servers
        self._numbers = itertools.count()

    def reach(self, calls: int, *, system: str = "") -> set[int]:
        """The servers that so many calls came to."""
        before = [len(server.received) for server in self._servers]
        for number in itertools.islice(self._numbers, calls):
            said = [{"role": "system", "content": system}] if system else []
            json = {"model": MODEL, "messages": [*said, {"role": "user", "content": str(number)}]}
            next(self._turns).post("/v1/chat/completions", json=json).raise_for_status()
        after = [len(server.received) for server in self._servers]
        return {number for number in range(SERVERS) if after[number] > before[number]}


def client_of(aurora: Aurora) -> httpx.Client:
    return httpx.Client(base_url=aurora.url, headers=AUTHORIZED, **CLIENT)


@pytest.fixture
def servers() -> Iterator[list[ScriptedVllm]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(ScriptedVllm()) for _ in range(SERVERS)]


@pytest.fixture
def sessions(checkout: Path, database: Database, servers: list[ScriptedVllm]) -> Iterator[Sessions]:
    urls = {f"VLLM_S{number}_BASE_URL": server.url for number, server in enumerate(servers)}
    settings = {**database.settings, "AURORA_MASTER_KEY": MASTER_KEY, **urls}
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(2):
            aurora = Aurora(checkout, settings)
            stack.callback(aurora.stop)
            eventually(lambda: len(aurora.models(MASTER_KEY)) == SERVERS)  # noqa: B023
            clients.append(stack.enter_context(client_of(aurora)))
        yield Sessions(clients, servers)


def test_sessions_that_begin_alike_share_a_few_servers(sessions: Sessions) -> None:
    def reached() -> set[int]:
        """By a few sessions that begin alike among many that do not."""
        assert sessions.reach(100) == set(range(SERVERS))
        return sessions.reach(10, system=SYSTEM)

    def homes() -> set[int] | None:
        found = reached()
        return found if len(found) <= LEAST_HOMES else None

    found = eventually(homes)
    assert found is not None
    assert len(found | reached()) <= LEAST_HOMES
