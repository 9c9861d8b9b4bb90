"""Calls that must all succeed, made for the length of a `with`, each with an id of its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import uuid4

from bench.client import Broken, Server, fetch
from bench.mock import MODEL
from bench.torture.servers import Fleet

MOST_CALL_SECONDS = 90.0
CHAT_PATH = "/v1/chat/completions"
CHAT: dict[str, object] = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
_ATTEMPTS = re.compile(rb"\r\nx-aurora-attempts: *(\d+)", re.IGNORECASE)
_DONE = b"data: [DONE]"


@dataclass(frozen=True, slots=True)
class Made:
    """What came of a call: 0 as status means no whole answer."""

    status: int
    head: bytes = b""
    body: bytes = b""
    why: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def attempts(self) -> int:
        told = _ATTEMPTS.search(self.head)
        return int(told[1]) if told else 0


async def call(server: Server, path: str, members: dict[str, object], id: str = "") -> Made:
    """One call on a connection of its own."""
    raw = server.change(path, members)
    named = raw.replace(b"\r\n", f"\r\nx-request-id: {id}\r\n".encode(), 1) if id else raw
    return await _made(server, named)


async def get(server: Server, path: str) -> Made:
    return await _made(server, server.get(path))


async def _made(server: Server, raw: bytes) -> Made:
    try:
        status, received = await asyncio.wait_for(fetch(server, raw), MOST_CALL_SECONDS)
    except (OSError, Broken, TimeoutError) as error:
        return Made(0, why=type(error).__name__)
    head, _, body = received.partition(b"\r\n\r\n")
    return Made(status, head, body)


@dataclass(slots=True)
class Traffic:
    """Plain chats and streams, in turns, from `callers` at once.

    `server` is asked before each call where it goes, so a trial can leave a process out.
    """

    server: Callable[[], Server]
    callers: int = 16
    pause_seconds: float = 0.01
    attempts: dict[str, int] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    _over: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: Sequence[asyncio.Task[None]] = ()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._run(n)) for n in range(self.callers)]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._over.set()
        await asyncio.gather(*self._tasks)

    async def _run(self, number: int) -> None:
        while not self._over.is_set():
            number += 1
            await self._chat(f"torture-{uuid4()}", streamed=number % 2 == 0)
            await asyncio.sleep(self.pause_seconds)

    async def _chat(self, id: str, *, streamed: bool) -> None:
        made = await call(self.server(), CHAT_PATH, {**CHAT, "stream": streamed}, id)
        self.attempts[id] = made.attempts
        if made.status != 200:
            self.faults[f"failed: {made.why or f'status {made.status}'}"] += 1
        elif streamed and _DONE not in made.body:
            self.faults["failed: a stream ended without [DONE]"] += 1

    def check_executed(self, fleet: Fleet) -> Counter[str]:
        """Calls that servers executed more often than their answers tell, or not at all."""
        wrong: Counter[str] = Counter()
        for id, told in self.attempts.items():
            executed = fleet.executed[id]
            if executed > max(told, 1):
                wrong["doubled: executed more often than told"] += 1
            elif told and not executed:
                wrong["lost: told, but executed nowhere"] += 1
        return wrong
