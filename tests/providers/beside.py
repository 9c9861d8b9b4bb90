"""What another process does to the rows meanwhile: on a connection of its own."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from django.db import connection, connections

from tests.patience import PATIENCE_SECONDS

T = TypeVar("T")
WRITING = re.compile(r'(UPDATE|INSERT INTO|DELETE FROM) "providers_')


def elsewhere(work: Callable[[], T]) -> T:
    """What `work` gives, done and committed on another connection."""

    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(PATIENCE_SECONDS)


def locks(sql: str) -> bool:
    """Whether a statement locks rows of ours, or may."""
    return bool(WRITING.search(sql)) or (" FOR " in sql and '"providers_' in sql)


class Other:
    """A writer in a thread. On PostgreSQL `wait` ends when it is done, or waits for a lock; on SQLite
    at once, since there whoever comes second waits for the first in any case."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work, self._backend = work, 0
        self._is_connected = threading.Event()
        self._pool = ThreadPoolExecutor(1)
        self._done: Future[object] = self._pool.submit(self._run)

    def wait(self) -> None:
        assert self._is_connected.wait(PATIENCE_SECONDS)
        end = time.monotonic() + PATIENCE_SECONDS
        while connection.vendor == "postgresql" and not self._done.done() and not self._is_held():
            assert time.monotonic() < end
            time.sleep(0.001)

    def result(self) -> object:
        try:
            return self._done.result(PATIENCE_SECONDS)
        finally:
            self._pool.shutdown(wait=False)

    def _run(self) -> object:
        try:
            connection.ensure_connection()
            if connection.vendor == "postgresql":
                self._backend = cast(Any, connection.connection).info.backend_pid
            self._is_connected.set()
            return self._work()
        finally:
            self._is_connected.set()
            connections.close_all()

    def _is_held(self) -> bool:
        """Past Django, whose own statements are counted."""
        asked = "SELECT cardinality(pg_blocking_pids(%s)) > 0"
        [[held]] = cast(Any, connection.connection).execute(asked, [self._backend]).fetchall()
        return bool(held)


@contextmanager
def begun_after(number: int, work: Callable[[], object]) -> Iterator[None]:
    """Another writer begins when this connection has locked rows by so many statements, and goes as
    far as it comes; at the end it is done, without an error."""
    other: Other | None = None
    done = 0

    def watched(execute: Callable[..., Any], sql: str, *call: Any) -> Any:
        nonlocal other, done
        result = execute(sql, *call)
        done += locks(sql)
        if done == number and other is None:
            other = Other(work)
            other.wait()
        return result

    with connection.execute_wrapper(watched):
        yield
    (other or Other(work)).result()


@contextmanager
def after_statement(number: int, work: Callable[[], object]) -> Iterator[None]:
    """`work` is done elsewhere when so many SELECTs of this connection have been answered."""
    answered = 0

    def watched(execute: Callable[..., Any], sql: str, *call: Any) -> Any:
        nonlocal answered
        result = execute(sql, *call)
        if "FROM" in sql and (answered := answered + 1) == number:
            elsewhere(work)
        return result

    with connection.execute_wrapper(watched):
        yield
