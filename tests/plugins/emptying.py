"""What a transactional test has written goes away by DELETE.

Django's flush truncates every table and then creates permissions and content types anew: hundreds
of times the work, and on PostgreSQL it waits for whoever still reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.test import TransactionTestCase
from pytest_django import DjangoDbBlocker

Rows = Sequence[tuple[Any, ...]]


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        beginning = Beginning.now()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: beginning.restore())
        yield


@dataclass(frozen=True)
class Beginning:
    """The rows of each table as the migrations leave them: none in most."""

    tables: Mapping[str, Rows]

    @classmethod
    def now(cls) -> Beginning:
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        with connection.cursor() as cursor:
            return cls({name: _rows(cursor, name) for name in names})

    def restore(self) -> None:
        """Exactly these rows are there again. Sequences go on."""
        with transaction.atomic(), connection.cursor() as cursor:
            changed = [
                name
                for name, rows in self.tables.items()
                if not rows or _rows(cursor, name) != rows
            ]
            _delete(cursor, changed)
            for name in changed:
                _insert(cursor, name, self.tables[name])


def _rows(cursor: CursorWrapper, table: str) -> Rows:
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
    return cursor.fetchall()


def _delete(cursor: CursorWrapper, tables: Sequence[str]) -> None:
    statements = [f"DELETE FROM {connection.ops.quote_name(table)}" for table in tables]
    # One round trip where the database takes it; foreign keys are looked at on commit.
    for statement in ["; ".join(statements)] if connection.vendor == "postgresql" else statements:
        cursor.execute(statement)


def _insert(cursor: CursorWrapper, table: str, rows: Rows) -> None:
    if rows:
        places = ", ".join(["%s"] * len(rows[0]))
        cursor.executemany(
            f"INSERT INTO {connection.ops.quote_name(table)} VALUES ({places})", rows
        )
