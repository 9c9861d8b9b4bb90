"""Many responses in one transaction: as many statements as for a few, and no bad one costs another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from gateway.models import StoredItem, StoredResponse
from gateway.state import batch, conversations, responses
from gateway.state.batch import Write
from gateway.state.values import Copy
from tests.gateway.state.stores import ANN, BOB, ids, item, locked, response, written

pytestmark = pytest.mark.django_db(transaction=True)


def statements(copies: Sequence[Copy]) -> int:
    with CaptureQueriesContext(connection) as made:
        written(*copies)
    return len(made)


def kept() -> list[str]:
    found = StoredResponse.objects.filter(removable=None).order_by("pk")
    return list(found.values_list("response_id", flat=True))


def test_many_cost_hardly_more_statements_than_a_few() -> None:
    conversation = conversations.create(ANN, "conv_1", {}, ()).id
    written(response("first"))

    def mixed(beginning: str, count: int) -> list[Copy]:
        return [
            response(
                f"{beginning}{number}",
                previous="first" if number % 2 else None,
                conversation=None if number % 2 else conversation,
            )
            for number in range(count)
        ]

    few, many = statements(mixed("a", 4)), statements(mixed("b", 60))

    assert many <= few + 2
    assert len(ids(conversations.context(ANN, conversation))) == (4 + 60) // 2 * 2


def test_what_waits_is_written_together_in_its_order(store) -> None:
    names = [f"r{number}" for number in range(300)]
    with locked():
        for name in names:
            store.keep(response(name))
    with CaptureQueriesContext(connection):  # the store's threads have connections of their own
        store.write_out()
    assert kept() == names
    assert store.lost == 0


def test_a_chain_within_a_batch_is_linked() -> None:
    copies = [
        response(name, previous=earlier)
        for name, earlier in (("a", None), ("b", "a"), ("x", None), ("c", "b"))
    ]
    written(*copies)
    assert ids(responses.context(ANN, "c")) == ["a-in", "a-out", "b-in", "b-out", "c-in", "c-out"]


def test_one_that_says_it_continues_itself_or_what_is_gone_costs_no_other() -> None:
    reasons = batch.write(
        [
            Write(response("itself", previous="itself")),
            Write(response("gone", previous="nowhere")),
            Write(response("after", previous="gone")),
            Write(response("well")),
        ]
    )
    assert [reason.partition(" with")[0] for reason in reasons] == ["There is no response"] * 3 + [
        ""
    ]
    assert kept() == ["well"]


@pytest.mark.parametrize("bad", [b'"\xff"', b'"\0"'], ids=["no UTF-8", "a NUL"])
def test_a_bad_one_costs_no_other(bad: bytes) -> None:
    copies = [response(str(number)) for number in range(9)]
    copies[4] = replace(copies[4], output=(bad,))

    reasons = batch.write([Write(copy) for copy in copies])

    assert [number for number, reason in enumerate(reasons) if reason] == [4]
    assert len(kept()) == 8


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite takes text of any length")
def test_what_the_database_refuses_is_found_among_many() -> None:
    copies = [response(str(number)) for number in range(9)]
    copies[6] = replace(copies[6], status="x" * 33)

    reasons = batch.write([Write(copy) for copy in copies])

    assert [number for number, reason in enumerate(reasons) if reason] == [6]


def test_a_batch_that_is_written_again_changes_nothing() -> None:
    """As after an end between its commit and the word of it."""
    conversation = conversations.create(ANN, "conv_1", {}, ()).id
    copies = [response("a", conversation=conversation), response("b", BOB), response("c")]
    written(*copies)
    responses.delete(ANN, "c")

    written(*copies)

    assert StoredResponse.objects.count() == 3
    assert kept() == ["a", "b"]
    assert StoredItem.objects.count() == 6 + 2
    assert ids(conversations.context(ANN, conversation)) == ["a-in", "a-out"]


def test_turns_of_one_conversation_stand_in_their_order_and_once() -> None:
    conversation = conversations.create(ANN, "conv_1", {}, [item("first")]).id
    written(
        response("a", conversation=conversation),
        response("b", conversation=conversation, items=(item("a-out"), item("b-in"))),
        response("c", BOB, conversation=conversation),
    )
    told = ids(conversations.context(ANN, conversation))
    assert told == ["first", "a-in", "a-out", "b-in", "b-out"]
    positions = StoredResponse.objects.order_by("pk").values_list(
        "conversation_position", flat=True
    )
    assert list(positions) == [1, 3, None]
