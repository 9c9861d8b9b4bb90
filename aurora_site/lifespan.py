"""ASGI's lifespan, for servers that have it: what runs beside the calls begins and ends with them.

`manage.py serve` has no need of it, and Daphne none of its events.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]


class Lifespan:
    """Calls `start` before the first call, and awaits each of `stops`, in order, after the last."""

    def __init__(self, start: Callable[[], None], *stops: Callable[[], Awaitable[object]]) -> None:
        self._start, self._stops = start, stops

    async def __call__(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        await receive()
        self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for stop in self._stops:
            await stop()
        await send({"type": "lifespan.shutdown.complete"})
