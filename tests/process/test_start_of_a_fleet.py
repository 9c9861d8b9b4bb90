"""A start with half the fleet dead waits for none of the dead."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.process.running import Aurora
from tests.processes import eventually, free_port
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-fleet-0123456789"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
ALIVE = 5


@contextmanager
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def alive() -> Iterator[list[str]]:
    """The URLs of as many servers as are dead."""
    with ExitStack() as stack:
        yield [stack.enter_context(ScriptedVllm()).url for _ in range(ALIVE)]


@pytest.fixture
def dead() -> Iterator[list[str]]:
    """Two are silent, two refuse, one has no address."""
    with ExitStack() as stack:
        silent = [stack.enter_context(silent_server()) for _ in range(2)]
        refusing = [f"http://127.0.0.1:{free_port()}" for _ in range(2)]
        yield [*silent, *refusing, "http://no-such-server.invalid:8000"]


def listed(aurora: Aurora) -> set[str]:
    """The providers whose models are listed."""
    return {model.partition("/")[0] for model in aurora.models(MASTER_KEY)}


def named(kind: str, urls: list[str]) -> dict[str, str]:
    return {f"VLLM_{kind}{number}_BASE_URL": url for number, url in enumerate(urls)}


def heard_of(aurora: Aurora) -> list[str]:
    """The providers in the order in which it became known whether they answer."""
    lines = (line for line in aurora.lines if line["logger"] == "aurora.background")
    return [line["provider"] for line in lines if "provider" in line]


def test_the_dead_half_of_a_fleet_holds_up_no_start(
    serve, alive: list[str], dead: list[str]
) -> None:
    aurora: Aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY, **named("DEAD", dead), **named("LIVE", alive)
    )

    eventually(lambda: aurora.get("/ready").is_success)
    assert aurora.chat(MASTER_KEY, MODEL).is_success
    living = {f"vllm-live{number}" for number in range(ALIVE)}
    eventually(lambda: listed(aurora) == living)
    assert aurora.chat(MASTER_KEY, MODEL).is_success
    silent = {"vllm-dead0", "vllm-dead1"}
    first = [name for name in heard_of(aurora) if name in living | silent][:ALIVE]
    assert set(first) == living, "some were not heard of before a silent one was given up"
