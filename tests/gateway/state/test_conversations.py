"""Conversations: what they hold, whose they are, and what responses add to them."""

from __future__ import annotations

import time

import pytest

from gateway.errors import InvalidRequest, NotStored, UnknownConversation, UnknownItem
from gateway.models import StoredItem
from gateway.state import pages
from tests.gateway.state.stores import (
    ANN,
    BOB,
    RunningStore,
    ids,
    item,
    locked,
    queued,
    response,
)

METADATA = {"topic": "nul \0 and \U0001f600"}


@pytest.fixture
def id(store) -> str:
    """A conversation of Ann's with the items 0 to 4."""
    return store.create_conversation(ANN, METADATA, [item(str(n)) for n in range(5)]).id


def test_a_conversation_comes_back_as_it_was_made(store, id):
    found = store.conversation(ANN, id)
    assert (found.id, found.metadata) == (id, METADATA)
    assert abs(found.created - time.time()) < 60
    assert ids(store.conversation_context(ANN, id)) == ["0", "1", "2", "3", "4"]


def test_its_metadata_can_be_replaced(store, id):
    assert store.update_conversation(ANN, id, {"a": "b"}).metadata == {"a": "b"}
    assert store.conversation(ANN, id).metadata == {"a": "b"}


def asked(store, owner, id):
    """Every question about the conversation."""
    return [
        lambda: store.conversation(owner, id),
        lambda: store.update_conversation(owner, id, {}),
        lambda: store.conversation_items(owner, id, limit=20, order="asc"),
        lambda: store.conversation_context(owner, id),
        lambda: store.add_items(owner, id, [item("new")]),
        lambda: store.item(owner, id, "0"),
        lambda: store.delete_item(owner, id, "0"),
        lambda: store.delete_conversation(owner, id),
    ]


@pytest.mark.parametrize("state", ["another's", "missing", "deleted", "no id"])
def test_a_conversation_that_is_not_there_for_the_owner_is_unknown(store, id, state):
    owner = BOB if state == "another's" else ANN
    sought = {"missing": "conv_0", "no id": "\0"}.get(state, id)
    if state == "deleted":
        store.delete_conversation(ANN, id)
    for ask in asked(store, owner, sought):
        with pytest.raises(UnknownConversation):
            ask()
    assert StoredItem.objects.count() == 5


def test_where_nothing_is_kept_there_are_no_conversations(transactional_db):
    with RunningStore(days=0) as store:
        with pytest.raises(NotStored):
            store.create_conversation(ANN, {})
        for ask in asked(store, ANN, "conv_0"):
            with pytest.raises(UnknownConversation):
                ask()


def test_items_are_added_at_the_end_and_found_by_their_ids(store, id):
    store.add_items(ANN, id, [item("5"), item("6")])
    assert ids(store.conversation_context(ANN, id))[-3:] == ["4", "5", "6"]
    assert store.item(ANN, id, "5") == item("5")
    assert store.items(ANN, ["5", "7"]) == {"5": item("5")}
    assert store.items(BOB, ["5"]) == {}


def test_an_item_can_be_deleted(store, id):
    assert store.delete_item(ANN, id, "2").id == id
    assert ids(store.conversation_context(ANN, id)) == ["0", "1", "3", "4"]
    for ask in (store.item, store.delete_item):
        with pytest.raises(UnknownItem):
            ask(ANN, id, "2")
    store.add_items(ANN, id, [item("2")])
    assert ids(store.conversation_context(ANN, id))[-1] == "2"


def test_an_items_id_stands_in_a_conversation_once(store, id):
    store.add_items(ANN, id, [item("5"), item("0")])
    with pytest.raises(InvalidRequest) as told:
        store.add_items(ANN, id, [item("6"), item("0", "other")])
    assert told.value.param == "items[1].id"
    with pytest.raises(InvalidRequest):
        store.create_conversation(ANN, {}, [item("x", "one"), item("x", "two")])
    assert ids(store.conversation_context(ANN, id)) == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("asked", "expected", "has_more"),
    [
        ({}, ["0", "1"], True),
        ({"order": "desc"}, ["4", "3"], True),
        ({"after": "2"}, ["3", "4"], False),
        ({"order": "desc", "after": "1", "limit": 100}, ["0"], False),
    ],
)
def test_a_page_of_its_items(store, id, asked, expected, has_more):
    found = store.conversation_items(ANN, id, **{"limit": 2, "order": "asc", **asked})
    assert (ids(found.items), found.has_more) == (expected, has_more)


def test_a_page_stays_within_its_bytes_but_is_never_empty(store, id, monkeypatch):
    monkeypatch.setattr(pages, "MOST_PAGE_BYTES", 1)
    found = store.conversation_items(ANN, id, limit=3, order="asc")
    assert (ids(found.items), found.has_more) == (["0"], True)


def test_a_conversation_with_too_much_in_it_cannot_be_continued(store, id, monkeypatch):
    monkeypatch.setattr(pages, "MOST_CONTEXT_ITEMS", 4)
    with pytest.raises(InvalidRequest) as told:
        store.conversation_context(ANN, id)
    assert told.value.param == "conversation"


def test_what_a_response_brought_is_there_for_the_next_at_once(store, id):
    store.keep(response("r", conversation=id))
    assert ids(store.conversation_context(ANN, id))[-2:] == ["r-in", "r-out"]


def test_what_still_waits_is_waited_for(store, id):
    with locked():
        store.keep(response("r", conversation=id))
        found = store.begun(store.store.conversation_context, ANN, id)
        assert not found.done()
    assert ids(found.result(5))[-2:] == ["r-in", "r-out"]


def test_what_is_there_already_is_not_added_by_a_response_again(store, id):
    store.keep(response("r", conversation=id, items=(item("4"), item("new"))))
    assert ids(store.conversation_context(ANN, id))[-3:] == ["4", "new", "r-out"]


def test_a_background_response_adds_its_items_once_it_is_finished(store, id):
    store.begin(queued("r", conversation=id))
    assert ids(store.conversation_context(ANN, id))[-1] == "4"
    done = response("r", conversation=id, background=True)
    store.finish(done)
    store.finish(done)
    assert ids(store.conversation_context(ANN, id))[-3:] == ["4", "r-in", "r-out"]


@pytest.mark.parametrize("is_deleted", [True, False], ids=["deleted", "another's"])
def test_a_response_is_kept_though_its_conversation_is_not_there(store, id, is_deleted):
    owner = ANN if is_deleted else BOB
    if is_deleted:
        store.delete_conversation(ANN, id)
    store.keep_written(response("r", owner, conversation=id))
    assert store.response(owner, "r").id == "r"
    assert not StoredItem.objects.filter(conversation__isnull=False, item_id="r-in").exists()
