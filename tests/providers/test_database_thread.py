"""A thread with a connection of its own: what it does when that ends, and when its file is replaced."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from providers.catalog import load
from providers.database_thread import DatabaseThread

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.anyio]
Reading = Callable[[], object]


def _pid() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def _held() -> Any:
    connection.ensure_connection()
    return connection.connection


@pytest.mark.parametrize("read", [load, _pid], ids=["in a transaction", "by itself"])
async def test_what_finds_its_connection_ended_is_done_on_a_new_one(read: Reading) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("NOT RUN on SQLite: a file ends no connection")
    thread = DatabaseThread("tested")
    other = DatabaseThread("other")
    ended = await thread.run(_pid)

    def end() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 10000)", [ended])

    await other.run(end)
    assert await thread.run(read)
    assert await thread.run(_pid) != ended
    await thread.close()
    await other.close()


async def test_a_connection_stays_open_from_one_piece_of_work_to_the_next() -> None:
    thread = DatabaseThread("tested")
    first = await thread.run(_held)
    assert await thread.run(_held) is first
    await thread.close()


async def test_a_thread_that_did_nothing_is_closed_without_having_begun() -> None:
    before = threading.active_count()
    await DatabaseThread("tested").close()
    await asyncio.sleep(0)
    assert threading.active_count() == before
