"""Processes that start at once on the same database: each waits for its turn, and says so."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from aurora_site.start_lock import NUMBER
from tests.process.databases import Database, Postgres
from tests.process.operators import Operator
from tests.process.pgbouncer import pgbouncer
from tests.process.running import MANAGE, Aurora, Running
from tests.processes import eventually

PASSWORD = "a-password-for-the-operator"
WAITING = "waiting while another process migrates the database"


@contextlib.contextmanager
def migrating(database: Database) -> Iterator[None]:
    """What another process holds while it migrates."""
    if isinstance(database, Postgres):
        with psycopg.connect(database.url) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", [NUMBER])
            yield
        return
    folder = Path(database.settings["AURORA_DATA_DIR"])
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def test_a_start_waits_for_one_that_migrates_and_says_so(
    checkout: Path, empty_database: Database
) -> None:
    command = (*MANAGE, "serve")
    settings = {**empty_database.settings, "AURORA_HOST": "127.0.0.1", "AURORA_PORT": "0"}
    with contextlib.ExitStack() as stack:
        other = stack.enter_context(contextlib.ExitStack())
        other.enter_context(migrating(empty_database))
        starting = stack.enter_context(Running(command, cwd=checkout, settings=settings))
        eventually(lambda: starting.ended or WAITING in starting.written)
        assert WAITING in starting.written
        assert "listening" not in starting.written
        other.close()
        eventually(lambda: starting.ended or "listening" in starting.written)
        assert "listening" in starting.written


@pytest.fixture
def pooled(empty_database: Database) -> Iterator[dict[str, str]]:
    """The settings of processes that reach the database through a pool."""
    if not isinstance(empty_database, Postgres):
        pytest.skip("NOT RUN on SQLite: a pool stands before PostgreSQL")
    with pgbouncer(empty_database.url) as url:
        yield {**empty_database.settings, "DATABASE_URL": url, "AURORA_ADMIN_PASSWORD": PASSWORD}


def test_three_starts_at_once_through_pgbouncer_all_serve_and_leave_no_settings_behind(
    checkout: Path, pooled: dict[str, str]
) -> None:
    with ThreadPoolExecutor() as starting, contextlib.ExitStack() as stack:
        starts = [starting.submit(Aurora, checkout, pooled) for _ in range(3)]
        served = [stack.enter_context(start.result()) for start in starts if not start.exception()]
        assert [start.exception() for start in starts] == [None] * 3
        with Operator(served[0].url, PASSWORD) as operator:
            provider = operator.add_provider(name="gpu-1", base_url="http://127.0.0.1:9/v1")
            assert operator.open(f"/admin/providers/provider/{provider}/change/").is_success
            found = {limits for aurora in served for limits in sessions(pooled["DATABASE_URL"])}
        assert all(aurora.get("/health").is_success for aurora in served)
    assert found == {("0", "0")}


def sessions(url: str) -> set[tuple[str, str]]:
    """The limits of whichever of the server's connections the pool lends, as others find them."""
    limits = "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
    with contextlib.ExitStack() as stack:
        lent = [
            stack.enter_context(psycopg.connect(url)) for _ in range(4)
        ]  # each in a transaction
        return {connection.execute(limits).fetchone() for connection in lent}  # type: ignore[misc]
