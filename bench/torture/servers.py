"""vLLM servers that count: how often each call, by its request id, was executed.

They speak chat completions alone, so every other dialect is translated. An answer's text is the
number of messages that the call had: a caller sees at once whether something was left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from bench.mock import CARD, COMPLETION, LAST_PIECE, PIECE, STREAM_HEAD, answer, chunk, event

PIECES = 4
PIECE_SECONDS = 0.005
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ID = re.compile(rb"\r\nx-request-id: *([^\r]+)", re.IGNORECASE)
_CHAT = "/v1/chat/completions"
_TOLD: dict[bytes, object] = {
    b"GET /v1/models": {"object": "list", "data": [CARD]},
    b"GET /openapi.json": {"openapi": "3.1.0", "paths": {_CHAT: {"post": {}}}},
    b"GET /health": {},
}


@dataclass(slots=True)
class Fleet:
    """Servers on loopback. `executed` counts the calls of all of them by their request ids."""

    executed: Counter[str] = field(default_factory=Counter)
    urls: list[str] = field(default_factory=list)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled as the trial ends: asyncio's streams would print a traceback for each.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while True:
                head = b"\r\n" + await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
                await self._respond(head, body, writer)
        writer.close()

    async def _respond(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        line = head[2 : head.find(b" HTTP/1.")]
        if line == b"POST " + _CHAT.encode():
            await self._complete(head, json.loads(body), writer)
        elif line in _TOLD:
            writer.write(answer(json.dumps(_TOLD[line]).encode()))
        else:
            writer.write(answer(b'{"detail":"Not Found"}', "404 Not Found"))

    async def _complete(
        self, head: bytes, call: dict[str, Any], writer: asyncio.StreamWriter
    ) -> None:
        asked = _ID.search(head)
        self.executed[asked[1].decode("latin-1") if asked else ""] += 1
        count = str(len(call.get("messages") or ()))
        if not call.get("stream"):
            message = {"role": "assistant", "content": count}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            writer.write(answer(json.dumps({**COMPLETION, "choices": [choice]}).encode()))
            return
        writer.write(STREAM_HEAD)
        for number in range(PIECES):
            if writer.is_closing():  # the caller has left
                return
            delta = {"content": count if number == 0 else ""}
            piece = {**PIECE, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
            writer.write(chunk(event(piece)))
            await asyncio.sleep(PIECE_SECONDS)
        writer.write(chunk(event(LAST_PIECE)) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


@contextlib.asynccontextmanager
async def open_fleet(count: int) -> AsyncIterator[Fleet]:
    """So many servers of one model, for the length of an `async with`."""
    fleet = Fleet()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            server = await stack.enter_async_context(
                await asyncio.start_server(fleet._converse, "127.0.0.1", 0, backlog=1024)
            )
            fleet.urls.append(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1")
        yield fleet
