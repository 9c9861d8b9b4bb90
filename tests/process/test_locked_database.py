"""Somebody holds the database locked: calls go on, and what waits for it is refused soon."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import httpx
import pytest

from gateway import bounded
from gateway.admission.visits import Visitor
from tests.process.databases import Database
from tests.process.operators import Operator
from tests.process.running import Aurora
from tests.process.traffic import Traffic
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

AT_ONCE = bounded.AT_ONCE[Visitor.KEY]

MASTER_KEY = "sk-of-the-lock-0123456789"
PASSWORD = "the-password-of-the-operator"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"


@pytest.fixture
def aurora(serve, vllm: ScriptedVllm) -> Aurora:
    started: Aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY, AURORA_ADMIN_PASSWORD=PASSWORD, VLLM_BASE_URL=vllm.url
    )
    eventually(lambda: started.models(MASTER_KEY) == [MODEL])
    return started


def add_a_key(aurora: Aurora, number: int) -> httpx.Response:
    return aurora.post("/api/keys", MASTER_KEY, {"name": f"key {number}"})


def assert_busy(asked: list[Future[httpx.Response]]) -> None:
    answers = [each.result() for each in asked]
    told = {(each.status_code, each.json()["error"]["code"]) for each in answers}
    assert told == {(503, "database_busy")}


def test_calls_go_on_and_what_waits_for_the_lock_is_refused_before_it_is_released(
    aurora: Aurora, database: Database
) -> None:
    with ExitStack() as stack:
        operator = stack.enter_context(Operator(aurora.url, PASSWORD))
        elsewhere = stack.enter_context(ThreadPoolExecutor(AT_ONCE + 1))
        traffic = stack.enter_context(Traffic(aurora.url, MASTER_KEY, MODEL))
        traffic.wait_for_more()
        with database.locked():
            elsewhere.submit(operator.open, "/admin/providers/provider/")
            asked = [elsewhere.submit(add_a_key, aurora, number) for number in range(AT_ONCE)]
            traffic.wait_for_more()
            assert aurora.get("/ready").status_code == 200
            assert aurora.models(MASTER_KEY) == [MODEL]
            assert_busy(asked)
            traffic.wait_for_more()
        traffic.wait_for_more()
        _, secret = operator.add_key("after the lock")

    assert traffic.failed == []
    eventually(lambda: aurora.chat(secret, MODEL).is_success)
