"""Database work beside an event loop, on a thread with a connection of its own.

Each kind of work has its own thread, so that a revoked key waits for no record of what servers said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from django.db import OperationalError, connections

from providers.connections import on_this_connection

ANSWER_SECONDS = 20.0

T = TypeVar("T")


class DatabaseThread:
    """Does one piece of work after the other. Belongs to one event loop; whoever makes it closes it.

    The thread starts with the first piece of work.
    """

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(1, f"aurora-database-{name}")
        self._has_started = False
        self._unanswered: asyncio.Future[Any] | None = None

    @property
    def waits(self) -> bool:
        """Whether the database has left a question open, which holds the thread."""
        return self._unanswered is not None and not self._unanswered.done()

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work` gives; it may be done twice. Raises a database failure also where nothing comes
        within ANSWER_SECONDS; until the late answer is there, nothing else is tried."""
        if self.waits:
            raise OperationalError("it still does not answer")
        self._has_started = True
        asked = asyncio.get_running_loop().run_in_executor(
            self._executor, partial(on_this_connection, partial(work, *arguments))
        )
        if not (await asyncio.wait({asked}, timeout=ANSWER_SECONDS))[0]:
            self._unanswered = asked
            raise OperationalError(f"no answer within {ANSWER_SECONDS:g} s")
        return asked.result()

    async def close(self) -> None:
        """End the thread and its connection. Raises a database failure where that is not possible
        within ANSWER_SECONDS; the thread is left to itself then."""
        try:
            if self._has_started:
                await self.run(connections.close_all)
        finally:
            self._executor.shutdown(wait=False)
