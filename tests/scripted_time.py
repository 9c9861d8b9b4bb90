"""A clock that moves only when everybody waits for it: hours pass at once, and no machine is slow."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Leaping(selectors.SelectSelector):
    """Passes the time that it is to wait, instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and nothing will happen"
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leaping = _Leaping()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` comes to on a loop of its own, whose clock begins at 0. It may wait for timers and
    for its own tasks, but not for threads or other processes: the clock would run ahead of them."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
