"""Two WebSockets joined: messages cross, each way in order and untouched, until one side ends.

Nothing is queued here: each way waits for its taker before it reads the next message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from gateway.client import Message, Receive, Send
from gateway.errors import UpstreamBroke
from gateway.memory import Charge
from gateway.realtime import ABNORMAL, NO_CODE, NORMAL, Closed
from gateway.turns import Turns
from gateway.upstream import Socket


@dataclass(frozen=True, slots=True)
class End:
    """Which side ended a session, and how."""

    by_client: bool
    closed: Closed


class ClientSocket:
    """The client's side: plain ASGI (WebSockets), whichever server runs it."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        extensions: dict[str, Any] = scope.get("extensions") or {}
        self.until_gone: Callable[[], Awaitable[Message]] | None = extensions.get("aurora.gone")
        """Where the server has it: returns its disconnect message, also behind unread messages."""
        self._takes_no_code = "aurora.no_code" in extensions
        self._takes_refusals = "websocket.http.response" in extensions
        self._receive, self._send = receive, send
        self.sent_bytes = 0

    async def receive(self) -> str | bytes | Closed:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            return closed_by(message)
        text: str | None = message.get("text")
        return text if text is not None else message.get("bytes") or b""

    async def departure(self) -> None:
        """Return when the client has left. Until it is accepted, a client says nothing else."""
        while (await self._receive())["type"] != "websocket.disconnect":
            pass

    async def accept(self, subprotocol: str | None, headers: list[tuple[bytes, bytes]]) -> None:
        await self._send(
            {"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers}
        )

    async def send(self, message: str | bytes) -> None:
        """Returns once the server can take the next."""
        if isinstance(message, str):
            self.sent_bytes += len(message.encode())
            await self._send({"type": "websocket.send", "text": message})
        else:
            self.sent_bytes += len(message)
            await self._send({"type": "websocket.send", "bytes": message})

    async def close(self, closed: Closed) -> None:
        code = closed.code
        if code == NO_CODE and not self._takes_no_code:
            code = NORMAL
        await self._send({"type": "websocket.close", "code": code, "reason": closed.reason})

    async def refuse(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """Answer the handshake with a status; a server that cannot answers 403 by itself."""
        if not self._takes_refusals:
            await self._send({"type": "websocket.close"})
            return
        start = {"type": "websocket.http.response.start", "status": status, "headers": headers}
        await self._send(start)
        await self._send({"type": "websocket.http.response.body", "body": body})


def closed_by(message: Message) -> Closed:
    return Closed(message.get("code") or ABNORMAL, message.get("reason") or "")


async def joined(
    client: ClientSocket, socket: Socket, until: Awaitable[NoReturn], charge: Charge
) -> End:
    """Relay until one side ends; neither is closed here. Messages count in `charge` until their takers
    have them: the caller frees it. Raises UpstreamError where the server's side breaks, MemoryFull or
    BodyTooLarge, and what `until` raises, as soon as it does."""
    ways = [_down(socket, client, charge), _up(client, socket, charge), _raised(until)]
    if client.until_gone is not None:
        ways.append(_gone(client.until_gone, socket))
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _down(socket: Socket, client: ClientSocket, charge: Charge) -> End:
    while True:
        message = await socket.receive()
        if isinstance(message, Closed):
            return End(False, message)
        charge.hold_answer(len(message))
        await client.send(message)
        charge.hold_answer(0)


async def _up(client: ClientSocket, socket: Socket, charge: Charge) -> End:
    turns = Turns()
    while True:
        message = await client.receive()
        if turns.are_over():
            await asyncio.sleep(0)
        if isinstance(message, Closed):
            return End(True, message)
        charge.hold_body(len(message), 1)
        try:
            await socket.send(message)
        except UpstreamBroke:
            # `_down` knows how the server ended, once it has handed on what came before the end.
            await asyncio.sleep(socket.provider.idle_seconds)
            raise
        charge.hold_body(0)


async def _raised(until: Awaitable[NoReturn]) -> End:
    await until


async def _gone(until_gone: Callable[[], Awaitable[Message]], socket: Socket) -> End:
    """While the server takes nothing, `_up` waits with a message in its hand."""
    message = await until_gone()
    await asyncio.sleep(socket.waits.last_words_seconds)
    return End(True, closed_by(message))
