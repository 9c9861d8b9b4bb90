"""What one run holds: its events in order, so much of them, and its end."""

from __future__ import annotations

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from gateway.errors import StateUnavailable, UpstreamBroke
from gateway.runs import Run, told_after
from gateway.runs.run import (
    MOST_BATCH_BYTES,
    MOST_BATCH_EVENTS,
    MOST_RUN_BYTES,
    MOST_TOLD_BYTES,
    MOST_TOLD_EVENTS,
)
from gateway.state.values import Copy
from gateway.translation.responses import final
from tests.gateway.responses.conftest import QUICK, server
from tests.gateway.responses.making import (
    RESPONSES,
    create,
    native_response,
    native_stream,
    wait_for_status,
)
from tests.mounted import MASTER_KEY, MountedGateway

MIB = 2**20


@pytest.fixture
def run() -> Run:
    body = json.dumps(native_response("queued")).encode()
    return Run(Copy(uuid4(), "resp_1", body, "queued", background=True))


def test_it_holds_no_more_than_it_may(run):
    for number in range(MOST_RUN_BYTES // MIB):
        run.tell(number, b"x" * MIB)

    with pytest.raises(StateUnavailable):
        run.tell(100, b"x")


def test_what_the_database_has_taken_makes_room(run):
    for number in range(MOST_RUN_BYTES // MIB):
        run.tell(number, b"x" * MIB)
    run.taken(run.batch())

    run.tell(100, b"x" * MIB)
    assert not run.holds(-1)
    assert run.holds(0)
    assert [number for number, _ in run.after(14)] == [15, 100]


@pytest.mark.parametrize(("size", "count"), [(MIB, MOST_TOLD_BYTES // MIB), (1, MOST_TOLD_EVENTS)])
def test_no_more_is_told_of_one_than_may_be_kept(run, size, count):
    event = b"x" * size
    for number in range(count):
        run.tell(number, event)
        while number % 8 == 0 and run.has_news:
            run.taken(run.batch())

    with pytest.raises(UpstreamBroke, match="given up"):
        run.tell(count, event)


def test_what_is_full_can_still_be_failed():
    body = json.dumps({**native_response("queued"), "instructions": "x" * MOST_RUN_BYTES}).encode()
    full = Run(Copy(uuid4(), "resp_1", body, "queued", background=True))

    full.fail(UpstreamBroke("It broke."))

    assert (full.is_final, full.copy.status) == (True, "failed")


@pytest.mark.parametrize("status", ["completed", "cancelled", "x" * 100, "queued\0"])
def test_only_its_end_makes_it_final(run, status):
    run.stands(final(json.dumps(native_response("in_progress")).encode()))
    run.stands(final(json.dumps(native_response(status, "Hi")).encode()))

    said = json.loads(run.copy.body)
    assert (run.is_final, run.copy.status, said["status"]) == (False, "in_progress", "in_progress")
    assert said["output"]


@pytest.mark.parametrize("status", ["queued", "in_progress", "x" * 100, ""])
def test_an_end_without_a_status_of_one_is_a_failure(run, status):
    run.end(final(json.dumps(native_response(status, "Hi")).encode()), b"data: {}\n\n", 3)

    said = json.loads(run.copy.body)
    assert (run.is_final, run.copy.status, said["status"]) == (True, "failed", "failed")
    assert "without saying how it stands" in said["error"]["message"]


@pytest.mark.parametrize("number", [0, 3, 4])
def test_an_event_out_of_order_is_left_out(run, number):
    run.tell(4, b"data: {}\n\n")
    run.tell(number, b"data: {}\n\n")

    assert [number for number, _ in run.after(-1)] == [4]


@pytest.mark.parametrize(
    ("size", "count"),
    [(1, MOST_BATCH_EVENTS), (MOST_BATCH_BYTES // 2, 2), (MOST_BATCH_BYTES + 1, 1)],
)
def test_a_batch_is_bounded(run, size, count):
    for number in range(min(MOST_BATCH_EVENTS + 1, MOST_RUN_BYTES // size - 1)):
        run.tell(number, b"x" * size)

    batch = run.batch()

    assert (len(batch.events), batch.is_last) == (count, False)


def test_its_end_is_told_once_it_is_kept(run):
    run.fail(UpstreamBroke("It broke."))

    assert [number for number, _ in run.after(-1)] == [0]
    assert run.copy.status == "failed"
    run.be_over()
    assert [number for number, _ in run.after(-1)] == [0, 1]


def test_its_first_end_stays(run):
    run.cancel()
    before = run.copy
    run.fail(UpstreamBroke("It broke."))
    run.tell(7, b"data: {}\n\n")

    assert run.copy is before
    assert (run.copy.status, run.after(-1)) == ("cancelled", [])


def test_a_silent_stream_is_kept_alive(mount, vllm, keys):
    native = mount(server(vllm), pace=replace(QUICK, keep_alive_seconds=0.05))
    vllm.will_stall(after_chunks=native_stream("Hi")[:2])
    id = native.post(RESPONSES, create(background=True)).json["id"]
    wait_for_status(native, id, "in_progress")

    assert native.on_loop(silent_for(native, keys[MASTER_KEY].owner, id))
    native.call("DELETE", f"{RESPONSES}/{id}")


async def silent_for(gateway: MountedGateway, owner: UUID, id: str) -> bool:
    """Whether the reader is told twice that there is nothing."""
    runs = gateway._gateway._runs
    silences = 0
    async for events in told_after(gateway.store, runs, owner, id, 1, check_key=lambda: None):
        silences += not events
        if silences == 2:
            return True
    return False
