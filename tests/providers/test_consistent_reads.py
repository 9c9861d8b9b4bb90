"""Whoever reads several tables sees one moment of them, whatever is committed between two queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import pytest
from django.db import connection, transaction

from aurora_site.outages import Outages
from providers import consequences, edits, model_search
from providers.catalog import load
from providers.models import Alias, Provider
from providers.transactions import consistent_read
from tests.providers.admin_pages import found, provider
from tests.providers.api_client import ALIASES, MASTER, PROVIDERS, Api, master_key
from tests.providers.beside import after_statement, elsewhere

pytestmark = pytest.mark.django_db(transaction=True)
MOST_STATEMENTS = 14
"""More than any of these readers needs."""


@pytest.fixture
def server() -> Provider:
    """It alone serves `m`, and the alias `chat` names it."""
    row = provider("left")
    found(row, "m")
    Alias.objects.create(name="chat").targets.create(provider=row.name, model="m")
    return row


@pytest.fixture
def rename(server: Provider) -> Callable[[], None]:
    """Give it its other name; the alias follows in the same transaction."""
    names = cycle(["right", "left"])

    def renamed() -> None:
        row = Provider.objects.get(pk=server.pk)
        row.name = next(names)
        edits.save(row)

    return renamed


def of_the_snapshot(server: Provider) -> bool:
    read = load()
    [[target]] = read.aliases["chat"].tiers
    return target.provider in read.providers


def of_the_revision(server: Provider) -> bool:
    """Who has read a number has read all that it counts."""
    before = elsewhere(load)
    read = load()
    return (read.revision == before.revision) == (list(read.providers) == list(before.providers))


def of_consequences(server: Provider) -> bool:
    return consequences.of({server.pk}).naming == ("chat",)


def of_deleting(server: Provider) -> bool:
    lost = consequences.of_deleting({server.pk})
    return lost.naming == lost.stranded == ("chat",)


def of_a_search(server: Provider) -> bool:
    return model_search.serving("chat") == {server.pk}


def of_the_list_of_aliases(server: Provider) -> bool:
    [listed] = Api(MASTER).get(ALIASES).json()["results"]
    return bool(listed["flags"] == [])


def of_an_alias(server: Provider) -> bool:
    return bool(Api(MASTER).get(f"{ALIASES}/chat").json()["flags"] == [])


def of_a_search_by_the_api(server: Provider) -> bool:
    return bool(Api(MASTER).get(f"{PROVIDERS}?model=chat").json()["count"] == 1)


READERS = [
    of_the_snapshot,
    of_the_revision,
    of_consequences,
    of_deleting,
    of_a_search,
    of_the_list_of_aliases,
    of_an_alias,
    of_a_search_by_the_api,
]


@pytest.mark.parametrize("read", READERS, ids=lambda read: read.__name__)
def test_a_reader_sees_one_moment(
    read: Callable[[Provider], bool], server: Provider, rename: Callable[[], None]
) -> None:
    master_key(MASTER)

    for number in range(1, MOST_STATEMENTS):
        with after_statement(number, rename):
            assert read(server), f"renamed after {number} queries"


def test_a_list_in_pages_counts_what_it_shows(server: Provider) -> None:
    master_key(MASTER)
    more = iter(range(100))

    for number in range(1, MOST_STATEMENTS):
        with after_statement(number, lambda: provider(f"more-{next(more)}")):
            listed = Api(MASTER).get(PROVIDERS).json()
        assert listed["count"] == len(listed["results"])


@pytest.fixture
def usual() -> Iterator[None]:
    """Afterwards the connection begins its transactions as it did before."""
    connection.ensure_connection()
    before = _manner()
    yield
    assert _manner() == before


def _manner() -> Any:
    if connection.vendor == "sqlite":
        return connection.transaction_mode  # type: ignore[attr-defined] # SQLite's alone
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        isolation = cursor.fetchone()
        cursor.execute("SHOW transaction_read_only")
        return isolation, cursor.fetchone()


def test_it_leaves_the_connection_as_it_was(usual: None, server: Provider) -> None:
    with consistent_read():
        assert Provider.objects.count() == 1


def test_one_that_fails_leaves_the_connection_as_it_was(usual: None) -> None:
    with pytest.raises(ZeroDivisionError), consistent_read():
        raise ZeroDivisionError


def test_within_a_transaction_it_is_part_of_that(server: Provider) -> None:
    with transaction.atomic():
        Provider.objects.update(name="middle")
        with consistent_read():
            Provider.objects.update(name="right")
            assert Provider.objects.get().name == "right"


def test_the_limits_of_a_page_do_not_stand_before_its_first_statement(server: Provider) -> None:
    def page(request: Any) -> Any:
        with consistent_read():
            return list(Provider.objects.values_list("name", flat=True))

    assert Outages(page)(None) == ["left"]  # type: ignore[arg-type] # no page


def test_no_writer_waits_for_a_reader(server: Provider, rename: Callable[[], None]) -> None:
    with consistent_read():
        assert Provider.objects.get().name == "left"
        elsewhere(rename)
        assert Provider.objects.get().name == "left"
    assert Provider.objects.get().name == "right"
