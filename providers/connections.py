"""A thread's own connection to the database, used for long and with pauses."""

from __future__ import annotations

from django.db import close_old_connections, connection


def renew() -> None:
    """A broken connection is made anew; SQLite's always, since its file may have been replaced."""
    if connection.vendor == "sqlite":
        close_old_connections()
    elif connection.connection and connection.errors_occurred and not connection.is_usable():
        connection.close()
