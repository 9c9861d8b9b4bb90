"""Responses that were acknowledged outlive their process: killed or stopped, with or without a database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.process.databases import Database
from tests.process.running import Aurora
from tests.process.test_stored_responses import MASTER_KEY, MODEL, answering
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

COUNT = 150
REFUSING = "ALTER TABLE gateway_storedresponse RENAME TO gateway_away"
TAKING = "ALTER TABLE gateway_away RENAME TO gateway_storedresponse"


@pytest.fixture
def settings(database: Database, vllm: ScriptedVllm) -> Mapping[str, str]:
    vllm.answers = answering()
    return {**database.settings, "AURORA_MASTER_KEY": MASTER_KEY, "VLLM_BASE_URL": vllm.url}


def started(checkout: Path, settings: Mapping[str, str]) -> Aurora:
    aurora = Aurora(checkout, settings)
    eventually(lambda: aurora.get("/ready").is_success)
    return aurora


def stored(aurora: Aurora, count: int, acknowledged: list[str] | None = None) -> list[str]:
    """The ids of so many responses that were acknowledged, several at a time. Raises where a call
    fails; `acknowledged` has those that did not."""
    ids = [] if acknowledged is None else acknowledged

    def one(number: int) -> None:
        asked = {"model": MODEL, "input": f"call {number}"}
        answer = aurora.post("/v1/responses", MASTER_KEY, asked)
        assert answer.status_code == 200, answer.text
        ids.append(answer.json()["id"])

    with ThreadPoolExecutor(8) as calls:
        list(calls.map(one, range(count)))
    return ids


def missing(aurora: Aurora, ids: list[str]) -> list[str]:
    """Those that are not shown, each with the items of its call. A 503 says: it is on its way."""

    def status(id: str) -> int:
        path = f"/v1/responses/{id}/input_items"
        return eventually(
            lambda: (code := aurora.get(path, MASTER_KEY).status_code) != 503 and code
        )

    with ThreadPoolExecutor(8) as calls:
        return [id for id, code in zip(ids, calls.map(status, ids), strict=True) if code != 200]


@pytest.fixture
def rows(orm: Callable[[str], str]) -> Callable[[], tuple[int, int]]:
    """How many responses are in the database, and how many ids they have."""
    line = (
        "from gateway.models import StoredResponse;"
        "ids = [*StoredResponse.objects.values_list('response_id', flat=True)];"
        "print(len(ids), len({*ids}))"
    )

    def counted() -> tuple[int, int]:
        rows, ids = orm(line).split()
        return int(rows), int(ids)

    return counted


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_nothing_that_was_acknowledged_is_lost_with_the_process_while_the_database_fails(
    checkout: Path,
    database: Database,
    settings: Mapping[str, str],
    rows: Callable[[], tuple[int, int]],
    end: str,
) -> None:
    aurora = started(checkout, settings)
    try:
        ids = stored(aurora, 20)
        database.execute(REFUSING)
        ids += stored(aurora, COUNT)
    finally:
        if end == "killed":
            aurora.kill()
        aurora.stop()
    database.execute(TAKING)

    with started(checkout, settings) as again:
        assert missing(again, ids) == []
        assert rows() == (20 + COUNT, 20 + COUNT)


def test_a_process_that_is_killed_while_it_writes_leaves_each_response_once(
    checkout: Path, settings: Mapping[str, str], rows: Callable[[], tuple[int, int]]
) -> None:
    """Also those whose commit was not noted yet."""
    acknowledged: list[str] = []
    aurora = started(checkout, settings)
    try:
        with ThreadPoolExecutor(1) as beside:
            running = beside.submit(stored, aurora, 10 * COUNT, acknowledged)
            eventually(lambda: len(acknowledged) > COUNT)
            aurora.kill()
            assert isinstance(running.exception(), httpx.HTTPError)
    finally:
        aurora.stop()
    with started(checkout, settings) as again:
        assert missing(again, acknowledged) == []
        found, ids = rows()
        assert found == ids


def test_a_living_process_writes_what_a_killed_one_has_left(
    checkout: Path, database: Database, settings: Mapping[str, str]
) -> None:
    with started(checkout, settings) as living:
        aurora = started(checkout, settings)
        try:
            database.execute(REFUSING)
            ids = stored(aurora, 20)
        finally:
            aurora.kill()
            aurora.stop()
        database.execute(TAKING)
        assert missing(living, ids) == []
