"""Stored responses over several processes: who goes on at another one finds all that came before."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.gateway.responses.making import native_response
from tests.process.running import Aurora
from tests.processes import eventually
from tests.scripted_vllm import Received, ScriptedVllm
from tests.scripting import Script, json_answer

MASTER_KEY = "sk-of-the-stored-responses-0123456789"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
TURNS = 75

Pair = tuple[Aurora, Aurora]


def answering() -> Callable[[Received], Script]:
    """Each call is answered with a response of its own."""
    numbers = itertools.count()

    def answer(_: Received) -> Script:
        told = native_response("completed", "Fine.", f"resp_{next(numbers)}")
        return Script((json_answer(200, told),))

    return answer


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        server.answers = answering()
        yield server


@pytest.fixture(scope="module")
def pair(serve_all, server: ScriptedVllm) -> Pair:
    variables = {"AURORA_MASTER_KEY": MASTER_KEY, "VLLM_BASE_URL": server.url}
    both = (serve_all(**variables), serve_all(**variables))
    for aurora in both:
        eventually(lambda: aurora.get("/ready").is_success)  # noqa: B023 - at once
    return both


def test_each_turn_of_a_conversation_has_all_before_it_at_any_process(
    pair: Pair, server: ScriptedVllm
) -> None:
    conversation = pair[0].post("/v1/conversations", MASTER_KEY, {}).json()["id"]
    for turn in range(TURNS):
        asked = {"model": MODEL, "input": f"turn {turn}", "conversation": conversation}
        assert pair[turn % 2].post("/v1/responses", MASTER_KEY, asked).status_code == 200
        assert turn == 0 or len(server.received[-1].json["input"]) == 2 * turn + 1


def test_each_response_is_continued_at_any_process_at_once(
    pair: Pair, server: ScriptedVllm
) -> None:
    previous = None
    for turn in range(TURNS):
        asked = {"model": MODEL, "input": f"turn {turn}", "previous_response_id": previous}
        answer = pair[turn % 2].post("/v1/responses", MASTER_KEY, asked)
        assert answer.status_code == 200, answer.text
        previous = answer.json()["id"]
        said = server.received[-1].json["input"]
        assert turn == 0 or len(said) == 2 * turn + 1
