"""A start with half the fleet dead takes no longer than with all of it alive."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.process.databases import Database
from tests.process.running import Aurora
from tests.processes import eventually, free_port
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-fleet-0123456789"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
SERVERS = 10
PATIENCE_SECONDS = 20.0
LISTED_SECONDS = 3.0
TIMES_AS_LONG, SECONDS_MORE = 1.5, 1.0
"""How much longer it may take, since the machine may be busy."""


@dataclass(frozen=True)
class Start:
    """Seconds from the moment at which the process was started."""

    ready: float
    first_call: float
    all_listed: float


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def alive() -> Iterator[list[str]]:
    """The URLs of ten servers."""
    with ExitStack() as stack:
        yield [stack.enter_context(ScriptedVllm()).url for _ in range(SERVERS)]


@pytest.fixture
def dead() -> Iterator[list[str]]:
    """Two refuse, two are silent, one has no address."""
    with ExitStack() as stack:
        silent = [stack.enter_context(silent_server()) for _ in range(2)]
        refusing = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
        yield [*silent, *refusing, "http://no-such-server.invalid:8000"]


@pytest.fixture
def started(
    checkout: Path, migrated: Database, tmp_path: Path
) -> Callable[[dict[str, str]], Start]:
    """How a first start with these servers goes, by their variables' names."""

    def start(urls: dict[str, str]) -> Start:
        database = migrated.copy(tmp_path / f"data-{len(list(tmp_path.iterdir()))}")
        servers = {f"VLLM_{name}_BASE_URL": url for name, url in urls.items()}
        living = sum(name.startswith("LIVE") for name in urls)
        variables = {**database.settings, **servers, "AURORA_MASTER_KEY": MASTER_KEY}
        began = time.monotonic()
        try:
            with Aurora(checkout, variables) as aurora:
                return measured(aurora, began, living)
        finally:
            database.drop()

    return start


def measured(aurora: Aurora, began: float, living: int) -> Start:
    eventually(lambda: aurora.get("/ready").is_success, PATIENCE_SECONDS)
    ready = time.monotonic()
    eventually(lambda: aurora.chat(MASTER_KEY, MODEL).is_success, PATIENCE_SECONDS)
    called = time.monotonic()
    eventually(lambda: len(listed(aurora)) == living, PATIENCE_SECONDS)
    return Start(ready - began, called - began, time.monotonic() - began)


def listed(aurora: Aurora) -> list[str]:
    """The providers whose models are listed: the living ones, and no other."""
    names = [model.partition("/")[0] for model in aurora.models(MASTER_KEY)]
    assert all(name.startswith("vllm-live") for name in names)
    return names


def named(kind: str, urls: list[str]) -> dict[str, str]:
    return {f"{kind}{number}": url for number, url in enumerate(urls)}


def test_the_dead_half_of_a_fleet_holds_up_no_start(
    started: Callable[[dict[str, str]], Start], alive: list[str], dead: list[str]
) -> None:
    whole = started(named("LIVE", alive))
    half = started({**named("DEAD", dead), **named("LIVE", alive[: SERVERS // 2])})

    print(f"all alive: {whole}, half dead: {half}")
    assert half.ready < TIMES_AS_LONG * whole.ready + SECONDS_MORE
    assert half.first_call < TIMES_AS_LONG * whole.first_call + SECONDS_MORE
    assert half.all_listed - half.ready < LISTED_SECONDS, "while the dead are waited for"
