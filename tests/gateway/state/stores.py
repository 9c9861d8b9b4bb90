"""What the tests of the store share: one that runs, what is kept in it, a database that stalls."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
from anyio.from_thread import start_blocking_portal
from django.db import connection
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from gateway.models import StoredResponse
from gateway.state import batch
from gateway.state.batch import Write
from gateway.state.spool import Spool
from gateway.state.store import Store
from gateway.state.values import Copy, StateLimits
from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS

ANN, BOB = uuid4(), uuid4()
PATIENT = StateLimits(
    state_seconds=NEVER_SECONDS,
    lease_seconds=NEVER_SECONDS,
    lease_check_seconds=0.05,
    look_again_seconds=0.01,
    settle_seconds=NEVER_SECONDS,
    slow_seconds=0.2,
    disk_seconds=NEVER_SECONDS,
)
"""No busy machine makes a store give anything up; a database that stalls is soon known to be slow."""


class RunningStore:
    """A store whose methods can be called from a test: each blocks until it has its answer."""

    def __init__(
        self,
        days: int = 30,
        limits: StateLimits = PATIENT,
        spool: Callable[[], Spool | None] = lambda: None,
    ) -> None:
        self._days, self._limits, self._spool = days, limits, spool

    def __enter__(self) -> RunningStore:
        self._portal_scope = start_blocking_portal()
        self._portal = self._portal_scope.__enter__()
        self.store = self._portal.call(
            partial(Store, self._days, self._limits, spool=self._spool())
        )
        self._has_stopped = False
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._has_stopped:
            self.stop()
        self._portal_scope.__exit__(kind, error, traceback)

    def stop(self, seconds: float = PATIENCE_SECONDS) -> bool:
        self._has_stopped = True
        return self._portal.call(self.store.stop, seconds)

    def crash(self) -> None:
        """End as SIGKILL ends a process: no word of it in the spool, whose files are anybody's."""
        self._has_stopped = True
        self._portal.call(_crash, self.store)

    def start(self) -> None:
        self._portal.call(self.store.start)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """The method of the store with this name, to be called from another thread."""
        method = getattr(self.store, name)
        return lambda *arguments, **named: self._portal.call(partial(method, *arguments, **named))

    def begun(self, method: Callable[..., Awaitable[Any]], *arguments: object) -> Future[Any]:
        """What a method of `store` will give."""
        return self._portal.start_task_soon(method, *arguments)

    @property
    def lost(self) -> int:
        return self.store.lost

    def keep_written(self, *copies: Copy) -> None:
        """Keep these; return once all are in the database."""
        for copy in copies:
            self.keep(copy)
        self.write_out()

    def write_out(self) -> None:
        assert self._portal.call(self.store._backlog.emptied, PATIENCE_SECONDS)


async def _crash(store: Store) -> None:
    spool = store._spool
    assert spool is not None
    for task in store._tasks:
        task.cancel()
    await asyncio.gather(*store._tasks, return_exceptions=True)
    files, spool._open = spool._open, {}
    for file in files.values():
        file.close()
    await store.stop()


def written(*copies: Copy) -> None:
    """Write these, as the store does."""
    assert batch.write([Write(copy) for copy in copies]) == [""] * len(copies)


def item(id: str, text: str = "") -> bytes:
    return msgspec.json.encode({"type": "message", "id": id, "content": text})


def response(id: str, owner: UUID = ANN, **fields: Any) -> Copy:
    """One with an input item `<id>-in` and an output item `<id>-out`."""
    body = msgspec.json.encode({"id": id, "status": fields.get("status", "completed")})
    kept = {"items": (item(f"{id}-in"),), "output": (item(f"{id}-out"),), "status": "completed"}
    return Copy(owner=owner, id=id, **{"body": body, **kept, **fields})


def queued(id: str, owner: UUID = ANN, **fields: Any) -> Copy:
    """What `begin` takes."""
    return response(id, owner, status="queued", output=(), background=True, **fields)


def ids(items: list[bytes]) -> list[str]:
    return [msgspec.json.decode(found)["id"] for found in items]


def age(id: str, days: float) -> None:
    """Make this response so old."""
    rows = StoredResponse.objects.filter(response_id=id)
    assert rows.update(created=timezone.now() - timedelta(days=days))


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """No process can write a response for the length of a `with`; on PostgreSQL, nor read one."""
    settings = connection.settings_dict
    if connection.vendor == "sqlite":
        with contextlib.closing(
            sqlite3.connect(settings["NAME"], isolation_level=None, timeout=20)
        ) as other:
            other.execute("BEGIN EXCLUSIVE")
            yield
            other.execute("ROLLBACK")
    else:
        where = make_conninfo(
            host=settings["HOST"],
            port=settings["PORT"],
            user=settings["USER"],
            password=settings["PASSWORD"] or None,
            dbname=settings["NAME"],
        )
        with psycopg.connect(where) as other:
            other.execute("LOCK TABLE gateway_storedresponse")
            yield


_FULL = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'no room' USING ERRCODE = 'disk_full'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON gateway_storedresponse EXECUTE FUNCTION full_disk();
"""
_ROOM = "DROP TRIGGER full_disk ON gateway_storedresponse; DROP FUNCTION full_disk();"


@contextlib.contextmanager
def unwritable() -> Iterator[None]:
    """No process can write a response for the length of a `with`; all can read them."""
    if connection.vendor == "sqlite":
        with locked():
            yield
        return
    with connection.cursor() as cursor:
        cursor.execute(_FULL)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(_ROOM)


@contextlib.contextmanager
def without(table: str) -> Iterator[None]:
    """The database fails on whoever asks it for rows of this table."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO gateway_away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE gateway_away RENAME TO {table}")


without_responses = partial(without, "gateway_storedresponse")
without_conversations = partial(without, "gateway_storedconversation")


def threads() -> set[str]:
    """The names of the threads that stores have just now."""
    names = {thread.name for thread in threading.enumerate()}
    return {name for name in names if name.startswith("aurora-state")}


def break_connections() -> None:
    """As when the database was restarted. SQLite has no connection that could break."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
