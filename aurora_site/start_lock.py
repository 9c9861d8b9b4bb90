"""One process of an installation at a time migrates; the others wait, say so, and find it done."""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from django.db import connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper

WAIT_SECONDS = 300.0
TRY_SECONDS = 0.5
TELL_SECONDS = 30.0
NUMBER = 0x6D696772617465  # "migrate": any number that nobody else locks in this database
WITHOUT_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS})
log = logging.getLogger("aurora.serve")


class NotHeld(Exception):
    """Another process has held the lock for too long. The text says what to look at."""


@contextmanager
def held(*, wait_seconds: float = WAIT_SECONDS) -> Iterator[None]:
    """Raises NotHeld after `wait_seconds`.

    On PostgreSQL it is a transaction's, over a connection of its own: through a pool that lends
    connections for a transaction, a session's lock would be another client's.
    """
    with ExitStack() as stack:
        if connection.vendor == "postgresql":
            other = connections.create_connection(connection.alias)
            stack.callback(other.close)
            take = _advisory(other, stack)
        else:
            take = _of_folder(Path(connection.settings_dict["NAME"]).parent, stack)
        _until(take, wait_seconds)
        yield


def _advisory(other: BaseDatabaseWrapper, stack: ExitStack) -> Callable[[], bool]:
    """A try a transaction, so that whoever waits holds none of a pool's connections meanwhile."""

    def take() -> bool:
        with ExitStack() as attempt:
            attempt.enter_context(_transaction(other))
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [NUMBER])
                taken = bool(cursor.fetchone()[0])
            if taken:
                stack.push(attempt.pop_all())
            return taken

    return take


@contextmanager
def _transaction(other: BaseDatabaseWrapper) -> Iterator[None]:
    """Not by `transaction.atomic`, which knows named connections alone."""
    other.set_autocommit(False)
    try:
        yield
    finally:
        other.rollback()
        other.set_autocommit(True)


def _of_folder(folder: Path, stack: ExitStack) -> Callable[[], bool]:
    """SQLite's own locks still part those who write at once where the file system has no others."""
    descriptor = os.open(folder, os.O_RDONLY)
    stack.callback(os.close, descriptor)

    def take() -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno not in WITHOUT_LOCKS:
                raise
            log.warning("the file system of %s has no locks: start one process at a time", folder)
        return True

    return take


def _until(take: Callable[[], bool], wait_seconds: float) -> None:
    began = told = time.monotonic()
    while not take():
        now = time.monotonic()
        if now - began > wait_seconds:
            raise NotHeld(
                f"another process has migrated the database for {wait_seconds:.0f} s and has not"
                " ended: look at its log, or end it"
            )
        if told == began or now - told > TELL_SECONDS:
            told = now
            log.info("waiting while another process migrates the database")
        time.sleep(TRY_SECONDS)
