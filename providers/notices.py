"""Hears from PostgreSQL that something has changed, without asking again and again.

It takes a connection of its own, on the event loop: an idle one costs nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import psycopg
from django.db import Error as DatabaseFailure
from django.db import connection
from psycopg import sql

from providers.revision import CHANNEL

RETRY_SECONDS = 1.0
FOREIGN = ("context", "cursor_factory")
"""Of Django's parameters of a connection: what makes rows of Django's, which are not read here."""
log = logging.getLogger("aurora.background")


class Notices:
    """Belongs to one event loop. `are_heard` says whether news come by themselves now; else somebody
    has to ask."""

    def __init__(self, told: Callable[[], None]) -> None:
        """`told` is called with each change, and when changes may have been missed."""
        self._told = told
        self.are_heard = False

    async def listen(self) -> None:
        """Until cancelled; or until it turns out that this database cannot tell anybody."""
        if connection.vendor != "postgresql":
            return
        while await self._listened():  # noqa: ASYNC110 - a database that is back tells nobody
            await asyncio.sleep(RETRY_SECONDS)

    async def _listened(self) -> bool:
        """Whether to try once more, after the connection has ended."""
        try:
            async with await psycopg.AsyncConnection.connect(**_parameters()) as held:
                if not await _is_direct(held):
                    log.info(
                        "behind a pool of connections: changes are asked for, four times a second"
                    )
                    return False
                await held.execute(sql.SQL("LISTEN {}").format(sql.Identifier(CHANNEL)))
                await self._heard(held)
        except (psycopg.Error, DatabaseFailure, OSError):
            pass  # whoever asks in the meantime tells of an outage
        return True

    async def _heard(self, held: psycopg.AsyncConnection[Any]) -> None:
        self.are_heard = True
        try:
            self._told()  # what changed before
            async for _ in held.notifies():
                self._told()
        finally:
            self.are_heard = False
            self._told()  # what changes from now on is not heard


def _parameters() -> dict[str, Any]:
    given = connection.get_connection_params()
    return {name: given[name] for name in given if name not in FOREIGN} | {"autocommit": True}


async def _is_direct(held: psycopg.AsyncConnection[Any]) -> bool:
    """Whether this connection is a session of PostgreSQL's own. A pool answers with a process number
    that is none, and may give each statement to another session, in which nothing would be heard."""
    row = await (await held.execute("SELECT pg_backend_pid()")).fetchone()
    return row is not None and row[0] == held.info.backend_pid
