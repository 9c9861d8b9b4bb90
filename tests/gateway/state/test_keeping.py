"""Responses that are kept: what comes back, whose it is, and what is known before it is written."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace

import pytest
from django.db import transaction
from django.db.backends.signals import connection_created

from gateway.errors import InvalidRequest, UnknownResponse
from gateway.models import StoredItem, StoredResponse
from tests.gateway.state.stores import (
    ANN,
    BOB,
    PATIENT,
    RunningStore,
    ids,
    item,
    locked,
    response,
    written,
)
from tests.patience import PATIENCE_SECONDS

ODD = b'{"id":"r" , "text":"\\u0000 \xf0\x9f\x98\x80 \\ud83d\\ude00 1.0e+2","a":1,"a":2}'


def test_a_response_comes_back_byte_for_byte(store):
    store.keep_written(response("r", body=ODD, items=(ODD,), output=(ODD,)))
    found = store.response(ANN, "r")
    assert (found.id, found.body, found.status) == ("r", ODD, "completed")
    assert (found.background, found.is_final) == (False, True)
    assert store.context(ANN, "r") == [ODD, ODD]


def test_a_response_is_known_at_once_and_elsewhere_once_it_is_written(store, other_process):
    with locked():
        store.keep(response("r"))
        assert store.response(ANN, "r").id == "r"
        assert ids(store.context(ANN, "r")) == ["r-in", "r-out"]
        assert store.items(ANN, ["r-out"]) == {"r-out": item("r-out")}
    store.write_out()
    assert other_process.response(ANN, "r").id == "r"


@pytest.mark.parametrize("is_written", [True, False], ids=["written", "waiting"])
@pytest.mark.parametrize("owner", [BOB, ANN], ids=["another's", "missing"])
def test_what_is_another_owners_is_as_unknown_as_what_is_not_there(store, owner, is_written):
    sought = "r" if owner == BOB else "s"
    store.keep(response("r"))
    if is_written:
        store.write_out()
    for look in (store.response, store.context, store.delete, store.ask_to_cancel):
        with pytest.raises(UnknownResponse) as told:
            look(owner, sought)
        assert str(told.value) == f"There is no response with the id {sought!r}."
    with pytest.raises(UnknownResponse):
        store.input_items(owner, sought, limit=20, order="desc")
    with pytest.raises(UnknownResponse):
        store.events(owner, sought, -1, 10)
    assert store.items(BOB, ["r-in", "r-out"]) == {}
    assert store.response(ANN, "r").id == "r"


@pytest.mark.parametrize("id", ["", "\0", "x" * 513, "a\nb", "\ud800"])
def test_an_id_that_cannot_be_kept_is_unknown(store, id):
    for look in (store.response, store.context, store.delete):
        with pytest.raises(UnknownResponse):
            look(ANN, id)
    assert store.items(ANN, [id]) == {}
    store.keep(response("r"))
    store.keep(replace(response("r"), id=id))
    assert store.lost == 1


def test_two_owners_may_have_the_same_id(store):
    store.keep_written(response("r", body=b'"ann"'), response("r", BOB, body=b'"bob"'))
    assert store.response(ANN, "r").body == b'"ann"'
    assert store.response(BOB, "r").body == b'"bob"'


@pytest.mark.parametrize("is_written", [True, False], ids=["written", "waiting"])
def test_of_two_with_one_id_the_older_stays_and_the_other_is_counted_as_lost(store, is_written):
    with nullcontext() if is_written else locked():
        store.keep(response("r"))
        if is_written:
            store.write_out()
        store.keep(response("r", body=b'"other"'))
    store.write_out()
    assert store.response(ANN, "r").body == response("r").body
    assert (store.lost, StoredResponse.objects.count()) == (1, 1)


def test_writing_one_twice_is_the_same_as_once(transactional_db):
    """As after a connection that broke at the end of a transaction."""
    written(response("r"))
    written(response("r"))
    assert (StoredResponse.objects.count(), StoredItem.objects.count()) == (1, 2)


def test_a_deleted_response_is_unknown_and_its_items_with_it(store, other_process):
    store.keep_written(response("r"))
    other_process.delete(ANN, "r")
    for look in (store.response, store.context, store.delete):
        with pytest.raises(UnknownResponse):
            look(ANN, "r")
    assert store.items(ANN, ["r-in", "r-out"]) == {}
    store.keep_written(response("r", body=b'"anew"'))
    assert store.response(ANN, "r").body == b'"anew"'


def test_one_that_waits_can_be_deleted(store, other_process):
    with locked():
        store.keep(response("r"))
        store.delete(ANN, "r")
        for look in (store.response, store.context, store.delete):
            with pytest.raises(UnknownResponse):
                look(ANN, "r")
    store.write_out()
    assert store.items(ANN, ["r-in"]) == {}
    with pytest.raises(UnknownResponse):
        other_process.response(ANN, "r")
    assert store.lost == 0


def test_what_another_process_writes_this_moment_is_waited_for(transactional_db):
    looks = threading.Event()

    def connected(**_):
        looks.set()

    often = replace(PATIENT, looks=int(PATIENCE_SECONDS / PATIENT.look_again_seconds))
    connection_created.connect(connected)
    try:
        with RunningStore(limits=often) as store:
            with transaction.atomic():
                written(response("r"))
                found = store.begun(store.store.response, ANN, "r")
                assert looks.wait(PATIENCE_SECONDS)
            assert found.result(PATIENCE_SECONDS).id == "r"
    finally:
        connection_created.disconnect(connected)


def test_the_newest_item_with_an_id_is_found_and_no_reference_to_one(store):
    reference = b'{"type":"item_reference","id":"i"}'
    store.keep_written(
        response("1", items=(item("i", "old"),)),
        response("2", items=(item("i", "new"),)),
        response("3", items=(reference,)),
    )
    assert store.items(ANN, ["i", "j"]) == {"i": item("i", "new")}
    with locked():
        store.keep(response("4", items=(item("i", "newest"),)))
        assert store.items(ANN, ["i"]) == {"i": item("i", "newest")}


@pytest.mark.parametrize("body", [b'"\xff"', b'"\0"'], ids=["no UTF-8", "a NUL"])
def test_what_no_database_keeps_as_text_is_lost_and_holds_up_nothing(store, body):
    store.keep_written(response("r", body=body), response("s"))
    assert store.lost == 1
    assert store.response(ANN, "s").id == "s"


def test_where_nothing_is_kept_everything_is_unknown(transactional_db):
    with RunningStore(days=0) as store:
        assert not store.store.keeps
        store.keep(response("r"))
        for look in (store.response, store.context, store.delete, store.ask_to_cancel):
            with pytest.raises(UnknownResponse):
                look(ANN, "r")
        assert store.items(ANN, ["r-in"]) == {}
        assert store.lost == 0


def page(store, **asked):
    found = store.input_items(ANN, "r", **{"limit": 3, "order": "asc", **asked})
    return [int(id) for id in ids(found.items)], found.has_more


@pytest.mark.parametrize(
    ("asked", "expected", "has_more"),
    [
        ({}, [0, 1, 2], True),
        ({"limit": 7}, [0, 1, 2, 3, 4, 5, 6], False),
        ({"limit": 100}, [0, 1, 2, 3, 4, 5, 6], False),
        ({"order": "desc"}, [6, 5, 4], True),
        ({"after": "2"}, [3, 4, 5], True),
        ({"after": "4"}, [5, 6], False),
        ({"after": "6"}, [], False),
        ({"after": "4", "order": "desc"}, [3, 2, 1], True),
        ({"before": "2"}, [0, 1], False),
        ({"before": "5"}, [2, 3, 4], True),
        ({"before": "2", "order": "desc"}, [5, 4, 3], True),
        ({"before": "4", "after": "1"}, [2, 3], False),
        ({"before": "6", "after": "1"}, [2, 3, 4], True),
    ],
)
def test_a_page_of_input_items(store, asked, expected, has_more):
    store.keep(response("r", items=tuple(item(str(n)) for n in range(7))))
    assert page(store, **asked) == (expected, has_more)


@pytest.mark.parametrize("cursor", ["after", "before"])
@pytest.mark.parametrize("id", ["r-out", "other-in", "\0", ""])
def test_a_cursor_that_is_no_input_item_is_refused(store, cursor, id):
    store.keep(response("other"))
    store.keep(response("r"))
    with pytest.raises(InvalidRequest) as told:
        page(store, **{cursor: id})
    assert told.value.param == cursor
