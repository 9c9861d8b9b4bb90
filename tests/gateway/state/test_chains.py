"""Responses that continue others: the whole chain is there, whoever of it is deleted or waits."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.errors import InvalidRequest, UnknownConversation, UnknownResponse
from gateway.state import pages, responses
from tests.gateway.state.stores import (
    ANN,
    BOB,
    ids,
    item,
    locked,
    queued,
    response,
    written,
)

ABC = ["a-in", "a-out", "b-in", "b-out", "c-in", "c-out"]


def chain(*names: str, **fields):
    return [
        response(name, previous=earlier, **fields)
        for name, earlier in zip(names, [None, *names], strict=False)
    ]


@pytest.mark.parametrize("written", [0, 1, 2, 3])
def test_a_chain_is_read_oldest_first_wherever_its_links_are(store, written):
    a, b, c = chain("a", "b", "c")
    store.keep_written(*(a, b, c)[:written])
    for copy in (a, b, c)[written:]:
        store.keep(copy)
    assert ids(store.context(ANN, "c")) == ABC
    assert ids(store.context(ANN, "b")) == ABC[:4]


def test_a_chain_that_waits_as_a_whole_needs_no_database(store):
    with locked():
        for copy in chain("a", "b", "c"):
            store.keep(copy)
        assert ids(store.context(ANN, "c")) == ABC


def test_two_may_continue_the_same_response(store):
    store.keep_written(*chain("a", "b"), response("c", previous="a"))
    assert ids(store.context(ANN, "c")) == ["a-in", "a-out", "c-in", "c-out"]


@pytest.mark.parametrize("deleted", [["a"], ["b"], ["b", "a"]])
@pytest.mark.parametrize("is_written", [True, False], ids=["written", "waiting"])
def test_a_chain_goes_on_through_deleted_links(store, deleted, is_written):
    for copy in chain("a", "b", "c"):
        store.keep(copy)
    if is_written:
        store.write_out()
    for id in deleted:
        store.delete(ANN, id)
        with pytest.raises(UnknownResponse):
            store.context(ANN, id)
    assert ids(store.context(ANN, "c")) == ABC
    store.write_out()
    assert ids(store.context(ANN, "c")) == ABC


def test_one_that_is_deleted_while_it_is_continued_is_still_linked_to(store):
    store.keep_written(response("a"))
    store.delete(ANN, "a")
    store.keep(response("b", previous="a"))
    assert ids(store.context(ANN, "b")) == ABC[:4]
    store.write_out()
    assert ids(store.context(ANN, "b")) == ABC[:4]
    assert store.lost == 0


def test_what_continues_another_owners_response_is_lost(store):
    store.keep_written(response("a"), response("b", BOB, previous="a"))
    assert store.lost == 1
    with pytest.raises(UnknownResponse):
        store.context(BOB, "b")


def test_what_continues_one_that_is_gone_is_lost_and_not_a_shorter_chain(store):
    store.keep_written(response("b", previous="a"))
    assert store.lost == 1
    with pytest.raises(UnknownResponse):
        store.context(ANN, "b")


def test_a_long_chain_costs_as_many_queries_as_a_short_one(transactional_db):
    for copy in chain(*(str(n) for n in range(30))):
        written(copy)

    def queries(id: str) -> int:
        with CaptureQueriesContext(connection) as made:
            responses.context(ANN, id)
        return len(made)

    assert len(responses.context(ANN, "29")) == 60
    assert queries("29") == queries("0") <= 6


@pytest.mark.parametrize(
    ("limit", "most"),
    [("MOST_CONTEXT_ITEMS", 3), ("MOST_CONTEXT_BYTES", 100)],
)
@pytest.mark.parametrize("is_written", [True, False], ids=["written", "waiting"])
def test_a_chain_with_too_much_in_it_is_refused(store, monkeypatch, limit, most, is_written):
    monkeypatch.setattr(pages, limit, most)
    for copy in chain("a", "b"):
        store.keep(copy)
    if is_written:
        store.write_out()
    assert ids(store.context(ANN, "a")) == ABC[:2]
    with pytest.raises(InvalidRequest) as told:
        store.context(ANN, "b")
    assert told.value.param == "previous_response_id"


def test_a_chain_with_too_many_links_is_refused(transactional_db, monkeypatch):
    monkeypatch.setattr(responses, "MOST_CONTEXT_LINKS", 2)
    for copy in chain("a", "b", "c"):
        written(copy)
    assert ids(responses.context(ANN, "b")) == ABC[:4]
    with pytest.raises(InvalidRequest) as told:
        responses.context(ANN, "c")
    assert told.value.param == "previous_response_id"


def test_a_response_that_is_not_finished_cannot_be_continued(store):
    store.begin(queued("r"))
    with pytest.raises(InvalidRequest) as told:
        store.context(ANN, "r")
    assert told.value.param == "previous_response_id"


def test_what_is_begun_may_continue_one_that_still_waits(store):
    with locked():
        store.keep(response("another"))
        store.keep(response("a"))
        begun = store.begun(store.store.begin, queued("b", previous="a"))
        assert not begun.done()
    begun.result(5)
    store.finish(response("b", background=True, previous="a"))
    assert ids(store.context(ANN, "b")) == ABC[:4]


@pytest.mark.parametrize("is_written", [True, False], ids=["written", "waiting"])
def test_a_response_of_a_conversation_is_continued_with_what_stood_there_before(store, is_written):
    id = store.create_conversation(ANN, {}, [item("first")]).id
    store.keep(response("a", conversation=id))
    store.keep(response("b", previous="a"))
    if is_written:
        store.write_out()
    store.add_items(ANN, id, [item("later")])
    assert ids(store.context(ANN, "b")) == ["first", *ABC[:4]]
    store.delete_conversation(ANN, id)
    with pytest.raises(UnknownConversation):
        store.context(ANN, "b")
