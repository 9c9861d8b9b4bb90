"""How several statements become one: for readers, a view of the rows that no writer changes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from django.db import connection, transaction

FIRST_OF_A_READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""PostgreSQL takes it only as the first statement. It ends with its transaction, so a pool that
hands the connection on hands no isolation level on with it."""


@contextmanager
def consistent_read() -> Iterator[None]:
    """All queries within see the rows as they are at one moment. Nothing may be written within.

    It waits for no writer, and no writer waits for it. Within a transaction that has begun already
    it changes nothing.
    """
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "sqlite":
        with _deferred(), transaction.atomic():
            yield
    else:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(FIRST_OF_A_READ)
            yield


@contextmanager
def _deferred() -> Iterator[None]:
    """The transactions of SQLite that begin within take no lock: the settings have all others take
    the writer's at once. In WAL mode the first query fixes what the transaction sees."""
    connection.ensure_connection()  # which sets the mode
    wrapper = cast(Any, connection)
    usual, wrapper.transaction_mode = wrapper.transaction_mode, "DEFERRED"
    try:
        yield
    finally:
        wrapper.transaction_mode = usual
