"""Responses that are generated in the background: events, leases, cancelling, what is left behind."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import msgspec
import pytest
from django.db import connections
from django.utils import timezone

from gateway.errors import InvalidRequest, NotStored, UnknownResponse
from gateway.models import StoredEvent, StoredResponse
from gateway.state import background
from tests.gateway.state.stores import ANN, PATIENT, RunningStore, ids, item, queued, response
from tests.processes import eventually

RUNNING = b'{"id":"r","status":"in_progress","model":"a/m \\u0000","output":[]}'


def test_a_background_response_is_there_from_its_begin_to_its_end(store, other_process):
    store.begin(queued("r"))
    found = other_process.response(ANN, "r")
    assert (found.status, found.background, found.is_final) == ("queued", True, False)
    assert ids(other_process.input_items(ANN, "r", limit=20, order="asc").items) == ["r-in"]

    assert store.beat(ANN, "r", body=RUNNING, status="in_progress") is False
    found = other_process.response(ANN, "r")
    assert (found.status, found.body) == ("in_progress", RUNNING)

    store.finish(response("r", background=True))
    found = other_process.response(ANN, "r")
    assert (found.body, found.is_final) == (response("r").body, True)
    assert ids(other_process.context(ANN, "r")) == ["r-in", "r-out"]
    assert store.lost == 0


def test_its_events_can_be_read_from_any_number_on_and_by_anybody(store, other_process):
    store.begin(queued("r"))
    assert other_process.events(ANN, "r", -1, 10) == ([], False)
    store.beat(ANN, "r", events=[(0, b"zero\0\xff"), (1, b"one")])
    store.beat(ANN, "r", events=[(1, b"one again"), (5, b"five")])
    events = [(0, b"zero\0\xff"), (1, b"one"), (5, b"five")]
    assert other_process.events(ANN, "r", -1, 10) == (events, False)
    assert other_process.events(ANN, "r", 0, 1) == (events[1:2], False)

    store.finish(response("r", background=True), [(6, b"six")])
    assert other_process.events(ANN, "r", 1, 1) == ([(5, b"five")], False)
    assert other_process.events(ANN, "r", 1, 2) == ([(5, b"five"), (6, b"six")], True)
    assert other_process.events(ANN, "r", 6, 10) == ([], True)


def test_events_are_given_in_bounded_pieces_and_one_at_least(store, monkeypatch):
    monkeypatch.setattr(background, "MOST_EVENTS_BYTES", 10)
    store.begin(queued("r"))
    store.finish(response("r", background=True), [(0, b"x" * 11), (1, b"y" * 5), (2, b"z" * 6)])
    assert store.events(ANN, "r", -1, 10) == ([(0, b"x" * 11)], False)
    assert store.events(ANN, "r", 0, 10) == ([(1, b"y" * 5)], False)
    assert store.events(ANN, "r", 1, 10) == ([(2, b"z" * 6)], True)


def test_what_is_sent_again_changes_nothing(store):
    copy = queued("r")
    store.begin(copy)
    store.begin(copy)
    done = response("r", background=True)
    store.finish(done, [(0, b"zero")])
    store.finish(done, [(0, b"zero")])
    assert ids(store.context(ANN, "r")) == ["r-in", "r-out"]
    assert (StoredResponse.objects.count(), store.lost) == (1, 0)


def test_what_is_begun_with_an_id_that_is_taken_is_refused(store):
    store.keep_written(response("r"))
    with pytest.raises(InvalidRequest):
        store.begin(queued("r"))


def test_what_is_begun_after_one_that_is_gone_is_refused(store):
    with pytest.raises(UnknownResponse):
        store.begin(queued("r", previous="gone"))


def test_where_nothing_is_kept_nothing_is_begun(transactional_db):
    with RunningStore(days=0) as store, pytest.raises(NotStored):
        store.begin(queued("r"))


def test_whoever_runs_it_learns_at_its_next_beat_that_it_is_to_stop(store, other_process):
    store.begin(queued("r"))
    assert other_process.ask_to_cancel(ANN, "r").status == "queued"
    assert store.beat(ANN, "r") is True
    store.finish(response("r", background=True, status="cancelled"))
    assert other_process.ask_to_cancel(ANN, "r").status == "cancelled"


def test_one_that_is_deleted_is_to_stop_and_stays_deleted(store, other_process):
    store.begin(queued("r"))
    other_process.delete(ANN, "r")
    assert store.beat(ANN, "r", events=[(0, b"zero")]) is True
    store.finish(response("r", background=True))
    with pytest.raises(UnknownResponse):
        store.response(ANN, "r")
    assert not StoredEvent.objects.exists()
    assert store.lost == 0


def test_a_final_one_stays_as_it_is_when_it_is_cancelled(store):
    store.begin(queued("r"))
    store.finish(response("r", background=True))
    assert store.ask_to_cancel(ANN, "r").status == "completed"


def test_only_a_background_response_can_be_cancelled(store):
    store.keep(response("r"))
    with pytest.raises(InvalidRequest):
        store.ask_to_cancel(ANN, "r")


def left(*begun_as: str) -> None:
    """Background responses whose process is gone."""
    for id in begun_as:
        background.begin(queued(id, body=RUNNING), timedelta(0))
    StoredResponse.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def test_one_whose_process_is_gone_is_failed_with_a_reason_and_its_stream_ends(transactional_db):
    left("r")
    StoredEvent.objects.create(
        response=StoredResponse.objects.get(), sequence_number=7, data=b"seven"
    )
    with RunningStore() as store:
        store.start()
        eventually(lambda: store.response(ANN, "r").is_final)
        found = store.response(ANN, "r")
        events, is_over = store.events(ANN, "r", 7, 10)
    error = {
        "code": "server_error",
        "message": "Aurora was stopped while it generated this response.",
    }
    assert found.status == "failed"
    assert found.body.startswith(
        b'{"id":"r","status":"failed","model":"a/m \\u0000","output":[],"error":'
    )
    assert msgspec.json.decode(found.body)["error"] == error
    [(number, event)] = events
    assert (number, is_over) == (8, True)
    assert event == (
        b'event: response.failed\ndata: {"type":"response.failed","sequence_number":8,"response":'
        + found.body
        + b"}\n\n"
    )


def test_one_that_had_told_nothing_begins_before_it_fails(store):
    left("r")
    background.end_those_left()
    [(_, created), (_, failed)], _ = store.events(ANN, "r", -1, 10)
    assert created == (
        b'event: response.created\ndata: {"type":"response.created","sequence_number":0,"response":'
        + RUNNING
        + b"}\n\n"
    )
    assert failed.startswith(b"event: response.failed")


def test_one_that_is_alive_is_left_alone(store):
    store.begin(queued("r"))
    assert background.end_those_left() == 0
    assert store.response(ANN, "r").status == "queued"


def test_many_that_look_at_once_end_each_exactly_once(transactional_db):
    left(*(str(n) for n in range(20)))

    def end(_: int) -> int:
        try:
            return background.end_those_left()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        ended = sum(threads.map(end, range(4)))
    assert (ended, StoredEvent.objects.count()) == (20, 2 * 20)


def test_one_that_nobody_runs_any_more_is_cancelled_at_once(store):
    left("r")
    found = store.ask_to_cancel(ANN, "r")
    assert (found.status, msgspec.json.decode(found.body)["status"]) == ("cancelled", "cancelled")
    assert store.events(ANN, "r", -1, 10) == ([], True)


def test_one_that_was_to_be_cancelled_when_its_process_went_is_cancelled(transactional_db):
    left("r")
    StoredResponse.objects.update(cancel_requested=True)
    assert background.end_those_left() == 1
    assert StoredResponse.objects.get().status == "cancelled"


def test_a_runner_that_was_given_up_is_to_stop_and_its_end_comes_too_late(store):
    left("r")
    background.end_those_left()
    assert store.beat(ANN, "r", status="in_progress") is True
    store.finish(response("r", background=True), [(99, b"late")])
    assert store.response(ANN, "r").status == "failed"
    assert (store.events(ANN, "r", 1, 10)[0], store.lost) == ([], 1)


def test_a_beat_renews_the_lease(store):
    def lease_until() -> datetime:
        until = StoredResponse.objects.get().lease_until
        assert until is not None
        return until

    store.begin(queued("r", items=(item("i"),)))
    first, longer = lease_until(), 2 * PATIENT.lease_seconds
    with RunningStore(limits=replace(PATIENT, lease_seconds=longer)) as other:
        assert other.beat(ANN, "r") is False

    assert lease_until() - first >= timedelta(seconds=PATIENT.lease_seconds)
