"""One process probes the servers for all, another when it is gone, and each when nobody can tell."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.databases import Database
from tests.process.running import Aurora
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-prober-0123456789"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
UNHEALTHY, HEALTHY = "provider vllm-one is unhealthy", "provider vllm-one is healthy"
MORE_LOOKS = 3
"""If two processes probed, each would have looked within so many looks."""
TIME_PASSES = "UPDATE providers_lease SET until = '2000-01-01 00:00:00'"
"""Until the lease of whoever probes is over: times are the database's."""

Servers = list[ScriptedVllm]
Start = Callable[[], Aurora]


@contextlib.contextmanager
def two_servers() -> Iterator[Servers]:
    with ScriptedVllm() as one, ScriptedVllm() as two:
        yield [one, two]


@contextlib.contextmanager
def starting(checkout: Path, database: Database, servers: Servers) -> Iterator[Start]:
    """Starts a process. However it ends, it may: this is about those that are left."""
    settings = {
        **database.settings,
        "AURORA_MASTER_KEY": MASTER_KEY,
        "AURORA_PROBE_SECONDS": "1",
        "VLLM_ONE_BASE_URL": servers[0].url,
        "VLLM_TWO_BASE_URL": servers[1].url,
    }
    with contextlib.ExitStack() as stack:

        def begin() -> Aurora:
            aurora = Aurora(checkout, settings)
            stack.callback(aurora.stop)
            eventually(lambda: len(aurora.models(MASTER_KEY)) == 2)
            return aurora

        yield begin


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    with two_servers() as servers:
        yield servers


@pytest.fixture(scope="module")
def pair(checkout: Path, shared_database: Database, servers: Servers) -> Iterator[list[Aurora]]:
    with starting(checkout, shared_database, servers) as start:
        yield [start(), start()]


@pytest.fixture
def own_servers() -> Iterator[Servers]:
    with two_servers() as servers:
        yield servers


@pytest.fixture
def start(checkout: Path, database: Database, own_servers: Servers) -> Iterator[Start]:
    with starting(checkout, database, own_servers) as start:
        yield start


def looks(server: ScriptedVllm) -> int:
    return sum(probe.path == "/health" for probe in server.probes)


def is_probed(server: ScriptedVllm, times: int = 1) -> None:
    """Wait for so many looks that have not begun yet."""
    wanted = looks(server) + times
    eventually(lambda: looks(server) >= wanted)


def state(aurora: Aurora, name: str) -> str:
    answer = aurora.get(f"/api/providers/{name}", MASTER_KEY)
    return str(answer.json()["health"]["state"]) if answer.is_success else ""


def both_say(pair: list[Aurora], name: str, wanted: str) -> None:
    eventually(lambda: [state(each, name) for each in pair] == [wanted] * 2)


def turns(*processes: Aurora) -> list[str]:
    """What the log says of servers. Whoever looked says it, and nobody else."""
    return [
        line["message"].partition(":")[0]
        for aurora in processes
        for line in aurora.lines
        if line["logger"] == "aurora.probing"
    ]


def calls_reach(aurora: Aurora, server: ScriptedVllm) -> bool:
    """Whether one does of a few, each of its own session."""
    before = len(server.received)
    for number in range(20):
        json = {"model": MODEL, "messages": [{"role": "user", "content": f"{number}"}]}
        aurora.post("/v1/chat/completions", MASTER_KEY, json)
    return len(server.received) > before


def is_avoided(server: ScriptedVllm, by: list[Aurora]) -> None:
    """Wait until it is, though it would answer every call."""
    for aurora in by:
        eventually(lambda: not calls_reach(aurora, server))  # noqa: B023 - at once


def test_of_two_processes_one_probes_and_both_go_by_it(
    pair: list[Aurora], servers: Servers
) -> None:
    is_probed(servers[0])
    before = len(turns(*pair))
    servers[0].health.will_answer(503, always=True)
    both_say(pair, "vllm-one", "unhealthy")
    is_avoided(servers[0], pair)
    assert [state(aurora, "vllm-two") for aurora in pair] == ["healthy"] * 2
    is_probed(servers[0], MORE_LOOKS)
    assert turns(*pair)[before:] == [UNHEALTHY]

    servers[0].health.will_answer(200)
    both_say(pair, "vllm-one", "healthy")
    eventually(lambda: turns(*pair)[before:] == [UNHEALTHY, HEALTHY])


def test_a_server_that_is_well_again_has_its_calls_back(
    pair: list[Aurora], servers: Servers
) -> None:
    before = len(turns(*pair))
    servers[0].stop()
    both_say(pair, "vllm-one", "unhealthy")
    servers[0].start()

    both_say(pair, "vllm-one", "healthy")
    for aurora in pair:
        eventually(lambda: calls_reach(aurora, servers[0]))  # noqa: B023 - at once
    eventually(lambda: turns(*pair)[before:] == [UNHEALTHY, HEALTHY])


def test_while_the_database_is_gone_each_process_looks_for_itself(
    pair: list[Aurora], servers: Servers, shared_database: Database
) -> None:
    before = [len(turns(aurora)) for aurora in pair]
    with shared_database.gone():
        servers[0].health.will_answer(503, always=True)
        for aurora, count in zip(pair, before, strict=True):
            eventually(lambda: UNHEALTHY in turns(aurora)[count:])  # noqa: B023 - at once
        is_avoided(servers[0], pair)
        servers[0].health.will_answer(200)
    both_say(pair, "vllm-one", "healthy")


def test_when_the_process_that_probes_is_gone_another_takes_over(
    start: Start, own_servers: Servers, database: Database
) -> None:
    first = start()
    is_probed(own_servers[0])
    second = start()
    first.stop()
    is_probed(own_servers[0])

    start()
    second.kill()
    second.stop()
    database.execute(TIME_PASSES)
    is_probed(own_servers[0])
