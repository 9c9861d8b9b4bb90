"""What one caller may ask of everybody's store: few steps a look-up, and no writing that takes long."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from gateway.errors import GatewayError, InvalidRequest, Unknown
from gateway.models import StoredItem
from gateway.state import conversations, responses
from gateway.state.backlog import Backlog
from gateway.state.values import MOST_CONTEXT_ITEMS, StateLimits
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

LONG_ID = "x" * 10_000
LONGEST_ID = "y" * 512
TOO_MANY = (b"{}",) * (MOST_CONTEXT_ITEMS + 1)


def steps_of(work: Callable[[], object]) -> int:
    """How many functions are called and generators resumed within `work`."""
    steps = 0

    def count(*_: Any) -> None:
        nonlocal steps
        steps += 1

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return steps


def most_parameters_of(work: Callable[[], object]) -> int:
    """Of all statements that `work` makes."""
    counts = []

    def count(execute: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        counts.append(len(parameters or ()))
        return execute(sql, parameters, many, context)

    with connection.execute_wrapper(count):
        work()
    return max(counts)


@pytest.mark.anyio
async def test_looking_for_an_item_takes_few_steps_however_much_waits():
    async def never(*_: object) -> Any:
        raise AssertionError

    backlog = Backlog(StateLimits(), never, never)
    for owner in (ANN, BOB):
        for id in "abcde":
            backlog.add(response(id, owner, items=tuple(item(f"{id}{n}") for n in range(1000))))
    found: list[bytes | None] = []
    asked = [*(f"c{n}" for n in range(100)), *(f"nowhere{n}" for n in range(100))]

    assert steps_of(lambda: found.extend(backlog.waiting.item(ANN, id) for id in asked)) < 20 * len(
        asked
    )
    assert found[:100] == [item(f"c{n}") for n in range(100)]
    assert found[100:] == [None] * 100


def test_of_waiting_items_the_newest_counts_that_is_its_owners_and_not_deleted(store):
    with locked():
        for copy in (
            response("1", items=(item("i", "first"), item("i", "second"))),
            response("2", items=(item("i", "newer"),)),
            response("3", items=(item("i", "newer"),), output=(item("i", "newest"),)),
            response("4", BOB, items=(item("i", "another's"),)),
        ):
            store.keep(copy)
        for expected in ("newest", "newer", "first"):
            assert store.items(ANN, ["i"]) == {"i": item("i", expected)}
            store.delete(ANN, {"newest": "3", "newer": "2", "first": "1"}[expected])
        assert store.items(BOB, ["i"]) == {"i": item("i", "another's")}
    store.write_out()
    assert store.items(ANN, ["i"]) == {}


def test_what_is_written_waits_no_more(store):
    store.keep_written(response("1"))
    assert not store.store._backlog.waiting._items._found
    assert store.items(ANN, ["1-in", "1-out"]) == {"1-in": item("1-in"), "1-out": item("1-out")}


def test_a_call_may_refer_to_so_many_items_and_no_more(store):
    sought = [f"i{n}" for n in range(1001)]
    store.keep_written(response("1", items=tuple(map(item, sought))))
    assert store.items(ANN, [*sought[:1000], sought[0]]) == {id: item(id) for id in sought[:1000]}
    with pytest.raises(InvalidRequest) as told:
        store.items(ANN, sought)
    assert told.value.param == "input"


def test_no_statement_has_more_parameters_than_a_database_takes(transactional_db):
    sought = [f"i{n}" for n in range(1200)]
    items = tuple(map(item, sought))
    written(response("1", items=items))
    id = conversations.create(ANN, "conv_1", {}, ()).id

    assert most_parameters_of(lambda: responses.items(ANN, sought)) < 510
    for expected in (0, 1200):
        assert StoredItem.objects.filter(conversation__isnull=False).count() == expected
        assert most_parameters_of(lambda: conversations.follow(ANN, id, items)) < 5000
    held = most_parameters_of(lambda: conversations.add(ANN, id, items))
    assert held < 510, "all are there: nothing is inserted"
    assert ids(conversations.context(ANN, id)) == sought


def test_one_row_is_read_of_an_item_that_stands_in_many_responses(transactional_db):
    for n in range(5):
        written(response(str(n), items=(item("i", str(n)),)))
    assert responses.items(ANN, ["i"]) == {"i": item("i", "4")}


@pytest.mark.parametrize(
    "copy", [response("1", items=TOO_MANY), response("1", output=TOO_MANY)], ids=["input", "output"]
)
def test_a_copy_with_more_items_than_can_be_continued_is_lost(store, copy, caplog):
    store.keep_written(copy, response("2"))
    assert store.lost == 1
    assert store.response(ANN, "2").id == "2"
    with pytest.raises(Unknown):
        store.response(ANN, "1")
    assert "it has 10002 items, and could not be continued" in caplog.text


def test_nothing_is_begun_with_more_items_than_can_be_continued(store):
    with pytest.raises(InvalidRequest) as told:
        store.begin(queued("1", items=TOO_MANY))
    assert told.value.param == "input"


def test_a_lease_does_not_wait_behind_a_copy_that_is_being_written(store):
    done = threading.Event()
    writing = store.begun(store.store._writer.run_to_the_end, done.wait)
    try:
        store.begin(queued("1"))
        assert not store.beat(ANN, "1", status="in_progress", events=[(0, b"data: 0\n\n")])
        store.finish(response("1", background=True))
        assert store.response(ANN, "1").is_final
        store.begin(queued("2"))
        assert not store.ask_to_cancel(ANN, "2").is_final
        assert not writing.done()
    finally:
        done.set()


@pytest.mark.parametrize(
    "look",
    [
        lambda store, conversation: store.response(ANN, LONG_ID),
        lambda store, conversation: store.begin(queued("2", previous=LONG_ID)),
        lambda store, conversation: store.context(ANN, LONGEST_ID),
        lambda store, conversation: store.begin(queued(LONGEST_ID, body=b"{}")),
        lambda store, conversation: store.input_items(
            ANN, "1", limit=1, order="asc", after=LONG_ID
        ),
        lambda store, conversation: store.conversation(ANN, LONG_ID),
        lambda store, conversation: store.item(ANN, conversation, LONG_ID),
        lambda store, conversation: store.delete_item(ANN, conversation, LONG_ID),
        lambda store, conversation: store.add_items(
            ANN, conversation, [item(LONGEST_ID, "a"), item(LONGEST_ID, "b")]
        ),
    ],
)
def test_no_message_repeats_more_than_the_beginning_of_an_id(store, look):
    store.keep_written(response("1"))
    store.begin(queued(LONGEST_ID, items=()))
    conversation = store.create_conversation(ANN, {}).id
    with pytest.raises(GatewayError) as told:
        look(store, conversation)
    assert told.value.status in (400, 404)
    assert len(str(told.value)) < 300
