"""The database fails under load: calls go on with what is known."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.process.databases import Database
from tests.process.operators import Operator
from tests.process.running import LIVE_SECONDS, Aurora
from tests.process.traffic import Traffic
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-outage-0123456789"
PASSWORD = "the-password-of-the-operator"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
OUTAGE_SECONDS = 3.0
MOST_CALL_SECONDS = 1.0
RECOVERY_SECONDS = 5.0


@pytest.fixture
def aurora(serve, vllm: ScriptedVllm) -> Aurora:
    started: Aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY, AURORA_ADMIN_PASSWORD=PASSWORD, VLLM_BASE_URL=vllm.url
    )
    eventually(lambda: started.get("/ready").is_success, LIVE_SECONDS)
    return started


@pytest.fixture
def operator(aurora: Aurora) -> Iterator[Operator]:
    with Operator(aurora.url, PASSWORD) as operator:
        yield operator


def open_quietly(operator: Operator) -> None:
    """A page of the admin, which may fail, or come when the database does."""
    with contextlib.suppress(httpx.HTTPError):
        operator.open("/admin/providers/provider/")


def calls_through(
    outage: Callable[[], contextlib.AbstractContextManager[None]],
    aurora: Aurora,
    operator: Operator,
) -> Traffic:
    """What became of the calls before, in and after an outage, with the admin in use meanwhile."""
    with (
        ThreadPoolExecutor(1) as elsewhere,
        Traffic(aurora.url, MASTER_KEY, MODEL) as traffic,
    ):
        traffic.wait_for_more()
        with outage():
            elsewhere.submit(open_quietly, operator)
            time.sleep(OUTAGE_SECONDS)  # the length of the outage is what is tested
            assert aurora.get("/ready").status_code == 200
            assert aurora.models(MASTER_KEY) == [MODEL]
        traffic.wait_for_more()
    return traffic


def assert_unharmed(traffic: Traffic) -> None:
    assert traffic.failed == []
    assert traffic.longest_seconds < MOST_CALL_SECONDS
    assert len(traffic.calls) > OUTAGE_SECONDS / MOST_CALL_SECONDS


def test_calls_go_on_without_the_database(
    aurora: Aurora, operator: Operator, database: Database
) -> None:
    traffic = calls_through(database.gone, aurora, operator)

    assert_unharmed(traffic)
    eventually(lambda: "the database answers again" in aurora.messages(), RECOVERY_SECONDS)
    failures = [each for each in aurora.messages("error") if each.startswith("the database fails")]
    assert len(failures) == 1, "one line for an outage, not one for each attempt"
    _, secret = operator.add_key("after the outage")
    eventually(lambda: aurora.chat(secret, MODEL).is_success, LIVE_SECONDS)


def test_calls_go_on_while_somebody_holds_the_database_locked(
    aurora: Aurora, operator: Operator, database: Database
) -> None:
    traffic = calls_through(database.locked, aurora, operator)

    assert_unharmed(traffic)
    _, secret = operator.add_key("after the lock")
    eventually(lambda: aurora.chat(secret, MODEL).is_success, RECOVERY_SECONDS)
