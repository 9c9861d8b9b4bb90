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
MOST_WAITING_SECONDS = 30.0
"""For one of these places: whatever those that have them wait for may never come."""
MOST_UPLOADING = 100

Application = Callable[[Any, Receive, Any], Awaitable[None]]


class Bounded:
    """Takes each body in first, refusing what is too large or too slow; then lets `AT_ONCE`
    requests at a time through to `application`, and puts their ids on its answers.

    A place is taken only by a request whose body is there: slow uploads hold up nobody else.
    """

    def __init__(
        self,
        application: Application,
        limits: Limits,
        *,
        most_waiting_seconds: float = MOST_WAITING_SECONDS,
        refuse: Callable[[Client, GatewayError], Awaitable[None]] = Client.refuse,
    ) -> None:
        """`refuse` words a refusal for whoever made the request."""
        self._application, self._limits, self._refuse = application, limits, refuse
        self._most_waiting_seconds = most_waiting_seconds
        self._places = asyncio.Semaphore(AT_ONCE)
        self._waiting, self._uploading = 0, 0

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        client = Client(Request.of(scope), receive, send, self._limits)
        try:
            body = await self._taken_in(client)
            async with self._place():
                await self._application(scope, _given(body, receive), _identified(client, send))
        except GatewayError as error:
            await self._refuse(client, error)
        except ClientGone:
            return

    async def _taken_in(self, client: Client) -> bytes:
        if not client.request.announces_body:
            return await client.body()
        if self._uploading >= MOST_UPLOADING:
            raise NotReady("Too many bodies are on their way here.")
        self._uploading += 1
        try:
            return await client.body()
        finally:
            self._uploading -= 1

    @contextlib.asynccontextmanager
    async def _place(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise NotReady("Too many requests are waiting here.")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._most_waiting_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise NotReady("No place here has become free in time.") from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._places.release()


def _given(body: bytes, receive: Receive) -> Receive:
    """The body at once, and then what the server tells, such as that the client has left."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return messages.pop() if messages else await receive()

    return given


def _identified(client: Client, send: Send) -> Send:
    async def identified(message: Message) -> None:
        if message["type"] == "http.response.start":
            await client.start(message["status"], list(message.get("headers", ())))
        else:
            await send(message)

    return identified
