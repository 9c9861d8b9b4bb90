"""Tasks that hold something bounded, and that make room for others when all of it is held."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aurora_site.shares import Holders


class Displaced(Exception):
    """The task held its part for longest of those whose owner held most, and others came."""


class Displacing:
    """At most `most` are held at a time, in whatever unit `amount` is counted: bytes, or tasks."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0
        self._amounts: dict[asyncio.Task[Any], int] = {}
        self._holders: Holders[asyncio.Task[Any]] = Holders()

    @property
    def held(self) -> int:
        return self._held

    @contextmanager
    def holding(self, owner: str, amount: int = 1) -> Iterator[None]:
        """Hold `amount` for the length of the block. A newcomer always comes in: others go.

        Raises Displaced, from within the block, when this task is the one that makes room.
        """
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        while self._held and self._held + amount > self._most:
            self._displace_one()
        self._held += amount
        self._amounts[task] = amount
        self._holders.add(owner, task)
        try:
            yield
        except asyncio.CancelledError:
            if task in self._amounts:
                raise
            task.uncancel()
            raise Displaced from None
        finally:
            self._let_go(owner, task)

    def _displace_one(self) -> None:
        owner = self._holders.greediest()
        task = next(self._holders.of(owner))
        self._let_go(owner, task)
        task.cancel()

    def _let_go(self, owner: str, task: asyncio.Task[Any]) -> None:
        if self._holders.discard(owner, task):
            self._held -= self._amounts.pop(task)
