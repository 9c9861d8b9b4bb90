"""Another ASGI application behind the same limits: no body is unbounded, whoever reads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import replace
from typing import Any

from gateway.admission import form_bodies, heads
from gateway.admission.displacing import Displaced, Displacing
from gateway.admission.outbox import Deliveries, Outbox
from gateway.admission.places import MOST_WAITING_SECONDS, Places
from gateway.admission.visits import Identify, Visit, Visitor, everybody_is_a_stranger
from gateway.client import Client, Limits, Message, Receive, Request, Send
from gateway.errors import BodyTooLarge, ClientGone, GatewayError, NotReady

AT_ONCE = {Visitor.STRANGER: 4, Visitor.SESSION: 8, Visitor.KEY: 4}
"""Django takes a thread and perhaps a database connection for each request."""
AT_ONCE_URGENT = 2
MOST_UPLOADING = 100
"""Of each kind of visitor."""
STRANGERS_BODY_BYTES = 16 * 1024
"""What a login, or the link of a first one, needs a few hundred bytes of."""

Application = Callable[[Any, Receive, Any], Awaitable[None]]


class Bounded:
    """Says who makes a request, takes its body in, refusing what is too large or too slow, then lets
    a few requests at a time through to `application`, and puts their ids on its answers.

    Strangers, people with a session and programs with a key have places of their own, and whoever
    takes access away has others before all. A place is taken only by a request whose body is there,
    and is free again once its answer is made: neither a slow upload nor a slow reader holds one.
    """

    def __init__(
        self,
        application: Application,
        limits: Limits,
        *,
        identify: Identify = everybody_is_a_stranger,
        most_waiting_seconds: float = MOST_WAITING_SECONDS,
        refuse: Callable[[Client, GatewayError], Awaitable[None]] = Client.refuse,
    ) -> None:
        """`refuse` words a refusal for whoever made the request."""
        self._application, self._identify, self._refuse = application, identify, refuse
        few = min(limits.body_bytes, STRANGERS_BODY_BYTES)
        self._limits = dict.fromkeys(Visitor, limits)
        self._limits[Visitor.STRANGER] = replace(limits, body_bytes=few)
        self._places = {
            visitor: Places(at_once, most_waiting_seconds=most_waiting_seconds)
            for visitor, at_once in AT_ONCE.items()
        }
        self._urgent = Places(AT_ONCE_URGENT, most_waiting_seconds=most_waiting_seconds)
        self._uploads = {visitor: Displacing(MOST_UPLOADING) for visitor in Visitor}
        self._deliveries = {visitor: Deliveries() for visitor in Visitor}

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        request = Request.of(scope)
        client = Client(request, receive, send, self._limits[Visitor.STRANGER])
        try:
            headers = heads.checked(request.raw_path, request.query, request.headers)
            visit = await self._identify(request)
            if visit.visitor is not Visitor.STRANGER:
                client = Client(request, receive, send, self._limits[visit.visitor])
            body = await self._taken_in(client, visit)
            form_bodies.check(headers, body)
            outbox = Outbox(_identified(client, send))
            async with self._places_for(visit).place(visit.owner):
                seen = {**scope, "headers": headers}
                await self._application(seen, _given(body, receive), outbox.put)
            await self._deliveries[visit.visitor].deliver(visit.owner, outbox)
        except GatewayError as error:
            await self._refuse(client, error)
        except ClientGone:
            return

    async def _taken_in(self, client: Client, visit: Visit) -> bytes:
        if not client.request.announces_body:
            return await client.body()
        try:
            with self._uploads[visit.visitor].holding(visit.owner):
                return await client.body()
        except Displaced:
            raise NotReady("Too many bodies are on their way here, and this one longest.") from None
        except BodyTooLarge as error:
            raise _worded(error, visit) from None

    def _places_for(self, visit: Visit) -> Places:
        return self._urgent if visit.is_urgent else self._places[visit.visitor]


def _worded(error: BodyTooLarge, visit: Visit) -> BodyTooLarge:
    """A person whose session has ended is told what mends it."""
    if visit.visitor is Visitor.STRANGER:
        return BodyTooLarge(f"{error} Whoever has logged in may send more.")
    return error


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
