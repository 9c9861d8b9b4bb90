"""One process probes the servers for all, another when it is gone, and each when nobody can tell."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from providers.probing.prober import LOOK_AROUND_SECONDS
from tests.process.databases import Database
from tests.process.running import LIVE_SECONDS, Aurora
from tests.processes import eventually, soon
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-prober-0123456789"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
TAKEN_OVER_SECONDS = 10.0
PROBE_SECONDS = 1
SEEN_SECONDS = PROBE_SECONDS + 2 * LIVE_SECONDS
"""Until what a probe finds has come to every process."""
TOLD_SECONDS = 2 * LOOK_AROUND_SECONDS
"""Until calls go by what the log has said. None comes before: its failure would tell the others."""
WATCHED_SECONDS = 5.0
MOST_LOOKS = 5
"""Of one prober in that time: it looks around twice a second, and each look is at least 0.8 s after
the one before. Two make six or more."""

Start = Callable[[], Aurora]


@pytest.fixture
def servers() -> Iterator[list[ScriptedVllm]]:
    with ScriptedVllm() as one, ScriptedVllm() as two:
        yield [one, two]


@pytest.fixture
def start(checkout: Path, database: Database, servers: list[ScriptedVllm]) -> Iterator[Start]:
    """Starts a process. However it ends, it may: this is about those that are left."""
    settings = {
        **database.settings,
        "AURORA_MASTER_KEY": MASTER_KEY,
        "AURORA_PROBE_SECONDS": str(PROBE_SECONDS),
        "VLLM_ONE_BASE_URL": servers[0].url,
        "VLLM_TWO_BASE_URL": servers[1].url,
    }
    with contextlib.ExitStack() as stack:

        def begin() -> Aurora:
            aurora = Aurora(checkout, settings)
            stack.callback(aurora.stop)
            eventually(lambda: len(aurora.models(MASTER_KEY)) == 2, LIVE_SECONDS)
            return aurora

        yield begin


def looks(server: ScriptedVllm) -> int:
    return sum(probe.path == "/health" for probe in server.probes)


def is_probed(server: ScriptedVllm, seconds: float) -> None:
    """Wait for a look that has not begun yet."""
    before = looks(server)
    eventually(lambda: looks(server) > before, seconds)


def state(aurora: Aurora, name: str) -> str:
    answer = aurora.get(f"/api/providers/{name}", MASTER_KEY)
    return str(answer.json()["health"]["state"]) if answer.is_success else ""


def says(aurora: Aurora, name: str, wanted: str, seconds: float = SEEN_SECONDS) -> None:
    assert soon(lambda: state(aurora, name) == wanted, seconds), state(aurora, name)


def calls(aurora: Aurora) -> list[httpx.Response]:
    """A few, each of its own session."""
    asked = ([{"role": "user", "content": f"{number}"}] for number in range(20))
    return [
        aurora.post("/v1/chat/completions", MASTER_KEY, {"model": MODEL, "messages": messages})
        for messages in asked
    ]


def calls_reach(aurora: Aurora, server: ScriptedVllm) -> bool:
    before = len(server.received)
    calls(aurora)
    return len(server.received) > before


def calls_avoid_the_dead(aurora: Aurora) -> bool:
    """None of them had to go on from one server to another."""
    return {answer.headers["x-aurora-attempts"] for answer in calls(aurora)} == {"1"}


def test_of_two_processes_one_probes_and_both_go_by_it(
    start: Start, servers: list[ScriptedVllm]
) -> None:
    one, two = start(), start()
    is_probed(servers[0], SEEN_SECONDS)
    before = looks(servers[0])
    time.sleep(WATCHED_SECONDS)
    assert 1 <= looks(servers[0]) - before <= MOST_LOOKS

    servers[0].health.will_answer(503, always=True)
    for aurora in (one, two):
        says(aurora, "vllm-one", "unhealthy")
        eventually(lambda: not calls_reach(aurora, servers[0]), SEEN_SECONDS)  # noqa: B023 - at once
        assert state(aurora, "vllm-two") == "healthy"


def test_a_server_that_is_well_again_has_its_calls_back(
    start: Start, servers: list[ScriptedVllm]
) -> None:
    aurora = start()
    servers[0].stop()
    says(aurora, "vllm-one", "unhealthy")
    servers[0].start()

    says(aurora, "vllm-one", "healthy")
    eventually(lambda: calls_reach(aurora, servers[0]), LIVE_SECONDS)
    assert [
        line["message"].partition(":")[0]
        for line in aurora.lines
        if line["logger"] == "aurora.probing"
    ] == ["provider vllm-one is unhealthy", "provider vllm-one is healthy"]


@pytest.mark.parametrize("end", ["killed", "stopped"])
def test_when_the_process_that_probes_is_gone_the_other_takes_over(
    start: Start, servers: list[ScriptedVllm], end: str
) -> None:
    first = start()
    is_probed(servers[0], SEEN_SECONDS)
    start()

    if end == "killed":
        first.kill()
    first.stop()

    is_probed(servers[0], TAKEN_OVER_SECONDS)


def test_while_the_database_is_gone_each_process_looks_for_itself(
    start: Start, servers: list[ScriptedVllm], database: Database
) -> None:
    both = start(), start()
    with database.gone():
        servers[0].stop()
        for aurora in both:
            eventually(
                lambda: "provider vllm-one is unhealthy" in " ".join(aurora.messages()),  # noqa: B023 - at once
                TAKEN_OVER_SECONDS,
            )
            time.sleep(TOLD_SECONDS)
            assert calls_avoid_the_dead(aurora)
        servers[0].start()
    for aurora in both:
        says(aurora, "vllm-one", "healthy", 2 * TAKEN_OVER_SECONDS)
