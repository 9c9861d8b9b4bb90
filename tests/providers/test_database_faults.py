"""Only a database that fails is said to fail: every other fault has words and a status of its own."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import (
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
)

from gateway.errors import StateUnavailable
from gateway.state.lane import TOO_MUCH_WAITS, Lane
from providers.background import Background
from providers.database_faults import Fault, fault_of, first_fault
from tests.patience import NEVER_SECONDS
from tests.providers.admin_pages import provider
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key, refusal

pg = psycopg.errors


def worded(cause: Exception, kind: type[Error] = OperationalError) -> Error:
    """As Django words what a driver raises."""
    error = kind(str(cause))
    error.__cause__ = cause
    return error


FAULTS = [
    (worded(pg.DeadlockDetected()), Fault.UNDONE),
    (worded(pg.SerializationFailure()), Fault.UNDONE),
    (worded(pg.LockNotAvailable()), Fault.LOCKED),
    (worded(pg.QueryCanceled()), Fault.SLOW),
    (worded(pg.DiskFull()), Fault.FULL),
    (worded(pg.UndefinedColumn(), ProgrammingError), Fault.SCHEMA),
    (worded(pg.UndefinedTable(), ProgrammingError), Fault.SCHEMA),
    (worded(pg.ReadOnlySqlTransaction()), Fault.READ_ONLY),
    (worded(pg.AdminShutdown()), Fault.FAILS),
    (worded(pg.CannotConnectNow()), Fault.FAILS),
    (worded(psycopg.OperationalError("connection refused")), Fault.FAILS),
    (worded(psycopg.InterfaceError("closed"), InterfaceError), Fault.FAILS),
    (OperationalError("no answer"), Fault.FAILS),
    (worded(pg.UniqueViolation(), IntegrityError), Fault.OTHER),
    (worded(pg.SyntaxError(), ProgrammingError), Fault.OTHER),
]


@pytest.mark.parametrize(("error", "fault"), FAULTS, ids=lambda each: getattr(each, "name", ""))
def test_each_fault_of_postgresql_is_known(error: Error, fault: Fault) -> None:
    assert fault_of(error) is fault


def raised(work: Callable[[], object]) -> Error:
    with pytest.raises(sqlite3.DatabaseError) as found:
        work()
    return worded(found.value)


def test_each_fault_of_sqlite_is_known(tmp_path: Path) -> None:
    held = sqlite3.connect(tmp_path / "db", isolation_level=None, timeout=0)
    held.execute("CREATE TABLE t (a)")
    assert fault_of(raised(lambda: held.execute("SELECT * FROM u"))) is Fault.SCHEMA
    assert fault_of(raised(lambda: held.execute("SELECT b FROM t"))) is Fault.SCHEMA
    assert fault_of(raised(lambda: held.execute("INSERT INTO t (b) VALUES (1)"))) is Fault.SCHEMA
    assert fault_of(raised(lambda: held.execute("nonsense"))) is Fault.OTHER

    other = sqlite3.connect(tmp_path / "db", isolation_level=None, timeout=0)
    held.execute("BEGIN IMMEDIATE")
    assert fault_of(raised(lambda: other.execute("BEGIN IMMEDIATE"))) is Fault.LOCKED
    held.execute("ROLLBACK")

    other.execute("PRAGMA query_only = 1")
    assert fault_of(raised(lambda: other.execute("DELETE FROM t"))) is Fault.READ_ONLY
    held.execute("PRAGMA max_page_count = 2")
    filling = "INSERT INTO t VALUES (zeroblob(100000))"
    assert fault_of(raised(lambda: held.execute(filling))) is Fault.FULL
    other.close()
    held.close()

    (tmp_path / "none").write_bytes(b"no database at all" * 100)
    broken = sqlite3.connect(tmp_path / "none")
    assert fault_of(raised(lambda: broken.execute("SELECT 1 FROM t"))) is Fault.FAILS
    broken.close()


def test_a_fault_is_found_behind_what_it_became() -> None:
    error = worded(pg.DiskFull())
    came_of_it = ValueError("the session was deleted")
    came_of_it.__context__ = error

    assert first_fault(came_of_it) == (Fault.FULL, error)
    assert first_fault(ValueError()) is None


@contextmanager
def refusing(error: Callable[[], Error]) -> Iterator[None]:
    """The database refuses to write a provider."""

    def watched(execute: Callable[..., Any], sql: str, *call: Any) -> Any:
        if 'UPDATE "providers_provider"' in sql:
            raise error()
        return execute(sql, *call)

    with connection.execute_wrapper(watched):
        yield


TOLD = [
    (pg.DeadlockDetected, 503, "database_busy"),
    (pg.LockNotAvailable, 503, "database_busy"),
    (pg.QueryCanceled, 503, "database_busy"),
    (pg.DiskFull, 507, "database_full"),
    (pg.UndefinedColumn, 500, "schema_mismatch"),
    (pg.ReadOnlySqlTransaction, 503, "database_unavailable"),
    (pg.AdminShutdown, 503, "database_unavailable"),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("kind", "status", "code"), TOLD)
def test_each_fault_has_its_own_answer(
    kind: type[Exception], status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    master_key()
    provider("gpu")
    api = Api(MASTER)
    api.client.raise_request_exception = False

    with refusing(lambda: worded(kind())):
        answer = api.patch(f"{PROVIDERS}/gpu", {"weight": 3})

    assert (answer.status_code, refusal(answer)["code"]) == (status, code)
    assert answer.has_header("Retry-After") == (status == 503)
    lines = [each.getMessage() for each in caplog.records if each.name == "aurora.admin"]
    is_outage = kind is pg.AdminShutdown
    assert [("the database fails them" in line) for line in lines] == [is_outage]
    assert api.get(PROVIDERS).status_code == 200


async def failing(lane: Lane, error: Exception) -> str:
    def fail() -> None:
        raise error

    with pytest.raises(StateUnavailable) as told:
        await lane.run(fail)
    return str(told.value)


@pytest.mark.anyio
@pytest.mark.django_db
async def test_calls_are_told_what_is_wrong_with_what_is_stored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lane = Lane("test", threads=1, waiting=4, seconds=NEVER_SECONDS)

    busy = await failing(lane, worded(pg.LockNotAvailable()))
    full = await failing(lane, worded(pg.DiskFull()))

    assert "busy with other changes" in busy
    assert "disk of the database is full" in full
    [line] = [each.getMessage() for each in caplog.records if each.name == "aurora.state"]
    assert "works, but its disk is full" in line
    await lane.stop(NEVER_SECONDS)


@pytest.mark.anyio
@pytest.mark.django_db
async def test_a_queue_of_our_own_is_no_fault_of_the_database(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lane = Lane("test", threads=1, waiting=4, seconds=0.05)
    begun, over = threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        over.wait(NEVER_SECONDS)

    first = asyncio.create_task(lane.run_to_the_end(work))
    await asyncio.to_thread(begun.wait, NEVER_SECONDS)
    with pytest.raises(StateUnavailable, match=TOO_MUCH_WAITS):
        await lane.run(int)
    over.set()
    await first

    assert [each for each in caplog.records if each.name == "aurora.state"] == []
    await lane.stop(NEVER_SECONDS)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (pg.LockNotAvailable, "left to the next"),
        (pg.DiskFull, "works, and calls go on with what is known, but its disk is full"),
        (pg.UndefinedColumn, "tables are not those of this release"),
        (pg.AdminShutdown, "the database fails"),
    ],
)
def test_rounds_beside_the_calls_say_it_too(
    kind: type[Exception], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    round_of_work = Background.__new__(Background)
    round_of_work._failing = set()

    round_of_work._note_fault("a round", worded(kind()))

    [line] = caplog.records
    assert text in line.getMessage()
