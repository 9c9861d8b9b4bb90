"""Another ASGI application behind the same limits: no body is unbounded, whoever reads it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from gateway.client import Client, Limits, Message, Receive, Request, Send
from gateway.errors import ClientGone, GatewayError, NotReady

AT_ONCE = 8
"""Django takes a thread and perhaps a database connection for each request."""
MOST_WAITING = 200

Application = Callable[[Any, Receive, Any], Awaitable[None]]


class Bounded:
    """Refuses a body that is too large or too slow before `application` has taken it in, lets in
    `AT_ONCE` requests at a time, and puts the request's id on the answers."""

    def __init__(self, application: Application, limits: Limits) -> None:
        self._application, self._limits = application, limits
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        client = Client(Request.of(scope), receive, send, self._limits)
        try:
            client.check_length()
            async with self._place():
                await self._application(scope, _limited(client, receive), _identified(client, send))
        except GatewayError as error:
            await client.refuse(error)

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise NotReady("Too many requests are waiting here.")
        self._waiting += 1
        try:
            await self._places.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


def _limited(client: Client, receive: Receive) -> Receive:
    more = True

    async def limited() -> Message:
        nonlocal more
        if not more:
            return await receive()
        try:
            piece, more = await client.next_piece()
        except ClientGone:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": more}

    return limited


def _identified(client: Client, send: Send) -> Send:
    async def identified(message: Message) -> None:
        if message["type"] == "http.response.start":
            await client.start(message["status"], list(message.get("headers", ())))
        else:
            await send(message)

    return identified
