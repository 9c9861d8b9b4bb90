"""How several statements become one: for readers, a view of one moment; for writers, all or nothing.

Every writer locks rows in one order, so that two of them never wait for each other: providers, keys,
aliases with their targets, everything else; within a table by primary key; the revision last.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from django.db import OperationalError, connection, transaction
from django.db.models import Model, QuerySet

from providers import database_faults, revision

FIRST_OF_A_READ = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
"""PostgreSQL takes it only as the first statement. It ends with its transaction, so a pool that
hands the connection on hands no isolation level on with it."""
MOST_TRIES = 5
RETRIED_SECONDS = 5.0
"""Nothing is tried again later than this: on SQLite each try may have waited as long for a lock."""
FIRST_PAUSE_SECONDS = 0.02

M = TypeVar("M", bound=Model)
T = TypeVar("T")
log = logging.getLogger("aurora.database")


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
def edit() -> Iterator[None]:
    """One change: a transaction, at whose end the revision is counted once, whatever was written.

    Within another edit it is a part of that.
    """
    with transaction.atomic(), revision.counted_at_the_end():
        yield


def locked(rows: QuerySet[M], *, to_delete: bool = False) -> QuerySet[M]:
    """`rows`, in the order in which everybody locks them; nobody else changes them until the
    transaction ends. What refers to them may be added meanwhile, unless they are to be deleted."""
    return rows.select_for_update(no_key=not to_delete, of=("self",)).order_by("pk")


def one_at_a_time(lock: int) -> None:
    """Until the transaction ends, whoever else comes here with `lock` waits. SQLite has one writer
    anyway."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


def retried(work: Callable[[], T]) -> T:
    """What `work` gives, which opens its own transaction: again, a few times, where the database
    undid it in favour of another's. Within a transaction it is done once: that is undone as a whole.

    Raises what the last try raised.
    """
    if connection.in_atomic_block:
        return work()
    end = time.monotonic() + RETRIED_SECONDS
    for number in range(MOST_TRIES - 1):
        try:
            return work()
        except OperationalError as error:
            if not database_faults.was_undone(error) or time.monotonic() > end:
                raise
            why = type(error.__cause__).__name__
            log.info("a change gave way to another and is made again: %s", why)
        pause = FIRST_PAUSE_SECONDS * 2**number
        time.sleep(random.uniform(pause / 2, pause))  # noqa: S311 - lets two part, guards nothing
    return work()


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
