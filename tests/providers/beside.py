"""What another process does to the rows while a reader is at work: on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, connections

from tests.patience import PATIENCE_SECONDS

T = TypeVar("T")


def elsewhere(work: Callable[[], T]) -> T:
    """What `work` gives, done and committed on another connection."""

    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(PATIENCE_SECONDS)


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
