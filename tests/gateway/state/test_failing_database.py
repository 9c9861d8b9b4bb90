"""A database that is slow, gone or full of waiting work: it costs copies, and never holds a call."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial

import pytest

from gateway.errors import StateUnavailable
from gateway.models import StoredConversation, StoredResponse
from gateway.state import conversations
from gateway.state.lane import Lane
from tests.gateway.state.stores import (
    ANN,
    PATIENT,
    RunningStore,
    break_connections,
    item,
    locked,
    queued,
    response,
    threads,
    without_responses,
)
from tests.patience import PATIENCE_SECONDS
from tests.processes import eventually

pytestmark = pytest.mark.django_db(transaction=True)

IMPATIENT = replace(PATIENT, state_seconds=0.2)
FEW = replace(PATIENT, queued_copies=2)
SMALL = replace(PATIENT, queued_bytes=2 * response("1").size_bytes)
HURRIED = replace(PATIENT, pauses_seconds=(0.01,))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name == "aurora.state"]


def test_while_writing_stalls_copies_are_taken_and_the_loop_goes_on():
    with RunningStore(limits=IMPATIENT) as store:
        with locked():
            for id in ("1", "2", "3"):
                store.keep(response(id))  # each call is a turn of the loop
            with pytest.raises(StateUnavailable):
                store.begin(queued("4"))
            assert store.response(ANN, "3").id == "3"
        store.write_out()
        assert store.lost == 0
        assert StoredResponse.objects.filter(response_id__in="123").count() == 3


@pytest.mark.parametrize("limits", [FEW, SMALL], ids=["count", "bytes"])
def test_what_does_not_find_room_to_wait_is_lost_and_counted(limits, caplog):
    with RunningStore(limits=limits) as store:
        with locked():
            for id in ("1", "2", "3", "4"):
                store.keep(response(id, items=(item(f"{id}-in"),)))
        store.write_out()
        assert store.lost == 2
        store.keep_written(response("5"))
    assert set(StoredResponse.objects.values_list("response_id", flat=True)) == {"1", "2", "5"}
    lines = [text for text in told(caplog) if "not kept" in text]
    assert len(lines) == 2, "one at the first loss, and one for the rest at the end"
    assert lines[0].startswith("responses that were not kept: 1; the last: 2 others wait") or (
        lines[0].endswith("bytes wait to be written")
    )


def test_what_a_failing_database_does_not_take_waits_until_it_does(caplog):
    with caplog.at_level(logging.INFO, "aurora.state"), RunningStore(limits=HURRIED) as store:
        with without_responses():
            for id in ("1", "2"):
                store.keep(response(id, body=b'"private words"'))
            for _ in range(20):  # longer than any writing is tried on its way
                with pytest.raises(StateUnavailable):
                    store.response(ANN, "3")
            with pytest.raises(StateUnavailable):
                store.begin(queued("3"))
        store.write_out()
        store.keep_written(response("4"))
        assert store.lost == 0
    assert StoredResponse.objects.count() == 3
    assert "private words" not in caplog.text


def test_a_copy_outlives_a_short_outage(caplog):
    with RunningStore() as store:
        with without_responses():
            store.keep(response("1"))
            store.keep(response("2", previous="1"))
            assert store.response(ANN, "1").id == "1"
            with pytest.raises(StateUnavailable):
                store.response(ANN, "3")
        store.write_out()
        assert store.lost == 0
        assert StoredResponse.objects.count() == 2


def test_a_connection_that_broke_is_made_anew_for_the_same_question(store):
    store.keep_written(response("1"))
    assert store.response(ANN, "1").id == "1"
    break_connections()
    for _ in range(4):  # once for each thread that reads, and once more
        assert store.response(ANN, "1").id == "1"
    store.keep_written(response("2"))
    store.begin(queued("3"))
    assert store.lost == 0


def test_while_too_much_waits_the_next_is_refused_at_once_and_no_thread_is_added():
    with RunningStore(limits=replace(PATIENT, waiting_jobs=3)) as store:
        with locked():
            begun = [store.begun(store.store.begin, queued(id)) for id in "1234"]
            eventually(lambda: any(each.done() for each in begun))
            assert len(threads()) <= 5
        outcomes = {str(each.exception(PATIENCE_SECONDS)) for each in begun}
        assert outcomes == {"None", "Too much waits for the database. Try again soon."}


def test_what_was_given_up_before_it_began_is_never_done():
    with RunningStore(limits=IMPATIENT) as store:
        with locked():
            store.keep(response("1"))  # holds the one thread that writes
            with pytest.raises(StateUnavailable):
                store.create_conversation(ANN, {"n": "1"})
        store.write_out()
        create = partial(conversations.create, ANN, "conv_2", {"n": "2"}, ())
        store.begun(store.store._writer.run_to_the_end, create).result(PATIENCE_SECONDS)
        assert StoredResponse.objects.count() == 1
        assert [kept.metadata for kept in StoredConversation.objects.all()] == ['{"n":"2"}']


def test_stopping_writes_what_waits_and_ends_the_threads():
    with RunningStore() as store:
        with locked():
            store.keep(response("1"))
        assert store.stop()
        assert not threads()
        assert (store.lost, StoredResponse.objects.count()) == (0, 1)


def test_stopping_does_not_wait_for_a_database_that_stalls(caplog):
    with RunningStore() as store:
        with locked():
            store.keep(response("1"))
            store.keep(response("2"))
            assert not store.stop(0.1)
            assert store.lost == 2
        eventually(lambda: not threads())
    assert "responses that were not kept: 2; the last: Aurora was stopped" in caplog.text


def test_a_stopped_store_refuses_work_and_a_store_that_did_none_stops_at_once():
    with RunningStore() as store:
        assert store.stop()
        with pytest.raises(StateUnavailable):
            store.response(ANN, "1")


@pytest.mark.anyio
async def test_a_failure_of_our_own_is_told_to_who_asked_and_the_thread_goes_on():
    lane = Lane("aurora-state-test", threads=1, waiting=1, seconds=PATIENCE_SECONDS)

    def fails() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await lane.run(fails)
    assert await lane.run(sum, [1, 2]) == 3
    assert await lane.stop(PATIENCE_SECONDS)
