"""A thread's own connection to the database, used for long and with pauses."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

from providers.transactions import retried

T = TypeVar("T")
_opened = threading.local()
"""`file`: which file this thread's connection to SQLite is of."""


def on_this_connection(work: Callable[[], T]) -> T:
    """What `work` gives. It is done once more where the connection proves to have ended while it was
    idle, and again where the database undid it, so doing it twice must do no harm."""
    _renew()
    held = connection.connection
    try:
        return retried(work)
    except (OperationalError, InterfaceError):
        if held is None or (connection.connection is held and connection.is_usable()):
            raise
    connection.close()  # or what a transaction that was left has opened in its place
    return work()


def _renew() -> None:
    """A broken connection is made anew; SQLite's, where its file was replaced or is gone."""
    if connection.vendor == "sqlite":
        _renew_sqlite()
    elif connection.connection and connection.errors_occurred and not connection.is_usable():
        connection.close()


def _renew_sqlite() -> None:
    """To open a file costs many times what a question does, so one that is still there stays open.

    It is looked at before it is opened: one that is replaced in between is opened once more.
    """
    if connection.in_atomic_block:
        return
    file = _identity(str(connection.settings_dict["NAME"]))
    if file is None or file != getattr(_opened, "file", None):
        connection.close()
    if connection.connection is None:
        connection.ensure_connection()
        _opened.file = file


def _identity(path: str) -> tuple[int, int] | None:
    """What tells a file from another one of its name. None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
