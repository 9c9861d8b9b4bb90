"""The realtime API: one WebSocket of a client, joined to one of a vLLM server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from gateway import errors, headers, passthrough, realtime, routing
from gateway.auth import Caller, authenticate
from gateway.bridge import ClientSocket, End, joined
from gateway.client import Message, Receive, Send
from gateway.errors import (
    ClientGone,
    GatewayError,
    NotReady,
    UnknownPath,
    UnsupportedEndpoint,
    UpstreamError,
    UpstreamUnreachable,
)
from gateway.realtime import Closed, Handshake
from gateway.records import Record
from gateway.upstream import Door, NotUpgraded, Outgoing, Socket
from providers.catalog import Catalog
from providers.snapshot import ProviderEntry, Snapshot

log = logging.getLogger("aurora.gateway")


@dataclass(frozen=True, slots=True)
class Destination:
    """A server that a session may go to. `model` is empty where none is known."""

    provider: ProviderEntry
    model: str
    query: bytes


class Realtime(AsyncConsumer):
    """`WS /v1/realtime`, and the same of one provider below `/p/`.

    Channels hands its consumers one message at a time: while a handler waits for a slow server,
    it would not hear that the client has left. And before each message it has a thread look after
    the database's connections, which would make calls wait for the database. So the first message
    is all that is dispatched, and the session goes on from there.
    """

    def __init__(self, catalog: Catalog, door: Door, note_key_use: Callable[[UUID], None]) -> None:
        self._catalog, self._door, self._note_key_use = catalog, door, note_key_use

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self._handshake = Handshake.of(scope)
        self._client = ClientSocket(scope, receive, send)
        self._record = Record("GET", self._handshake.id)
        await super().__call__(scope, receive, send)

    async def dispatch(self, message: Message) -> None:
        if message["type"] == "websocket.connect":
            try:
                await self._answered()
            finally:
                self._record.sent_bytes = self._client.sent_bytes
                self._record.write()
        raise StopConsumer

    async def _answered(self) -> None:
        """Every way a session may end passes here."""
        try:
            await self._connected()
        except GatewayError as error:
            self._record.reason = error.reason
            await self._fail(error)
        except ClientGone as error:
            self._record.reason = str(error)
        except asyncio.CancelledError:
            self._record.reason = "cancelled: Aurora is stopping"
            raise
        except Exception:  # the client must be told in the one shape, the log gets the traceback
            log.exception("call %s failed within Aurora", self._handshake.id)
            self._record.reason = "internal error"
            await self._fail(GatewayError("Aurora failed to handle this call."))

    async def _connected(self) -> None:
        """The flow: who calls, where it goes, the server's acceptance, then the client's."""
        handshake, record = self._handshake, self._record
        destinations = self._destinations(self._catalog.current())
        async with await self._unless_gone(self._opened(destinations)) as socket:
            record.status = 101
            told = [(b"x-request-id", handshake.id.encode())]
            told.append((b"x-aurora-provider", socket.provider.name.encode()))
            await self._client.accept(handshake.chosen(socket.subprotocol), told)
            try:
                await self._ended(await joined(self._client, socket), socket)
            finally:
                record.upstream_ends()

    async def _ended(self, end: End, socket: Socket) -> None:
        """Tell the other side how this one ended."""
        closed = end.closed
        if end.by_client:
            await socket.close(realtime.to_upstream(closed))
        else:
            await self._client.close(realtime.to_client(closed))
        if closed.code not in realtime.ENDS_WELL:
            which = "client" if end.by_client else "server"
            gone = closed.code == realtime.ABNORMAL
            self._record.reason = (
                f"the {which} left" if gone else f"the {which} closed: {closed.code}"
            )

    # Where it goes.

    def _destinations(self, snapshot: Snapshot) -> list[Destination]:
        path = self._handshake.path
        if path == realtime.PATH:
            self._record.path = path
            self._authenticated(snapshot)
            return self._by_model(snapshot)
        if path.startswith(passthrough.PREFIX):
            caller = self._authenticated(snapshot)
            return [self._by_provider(snapshot, caller)]
        raise UnknownPath(f"There is no WebSocket at {path[:200]}.")

    def _authenticated(self, snapshot: Snapshot) -> Caller:
        if not snapshot.is_loaded:
            raise NotReady("Aurora has not read its database yet.")
        caller = authenticate(self._handshake.headers, snapshot)
        self._record.key = caller.key.hint
        self._note_key_use(caller.key.id)
        return caller

    def _by_model(self, snapshot: Snapshot) -> list[Destination]:
        handshake, selector = self._handshake, self._handshake.selector()
        routing.route(selector, snapshot)
        return [
            Destination(target.provider, target.model, handshake.query_for(target.model))
            for target in routing.candidates(selector, snapshot)
        ]

    def _by_provider(self, snapshot: Snapshot, caller: Caller) -> Destination:
        """A vendor's own route, if it may pass; its query untouched."""
        handshake = self._handshake
        passage = passthrough.realtime_passage(handshake.raw_path)
        self._record.path = passthrough.PREFIX + "{provider}" + passage.route.path
        providers = passthrough.candidates(passage.provider, snapshot)
        provider = passthrough.choose(providers, handshake.model)
        passthrough.permit(passage.route, provider, is_master=caller.is_master)
        model = handshake.model if handshake.model in provider.models else None
        return Destination(provider, model or "", handshake.query)

    # The server's side.

    async def _opened(self, destinations: list[Destination]) -> Socket:
        """The first server that takes the session. Raises what the first of them said.

        A handshake does nothing yet, so the next may be tried.
        """
        refusals: list[GatewayError] = []
        for destination in destinations:
            try:
                return await self._open(destination)
            except (UpstreamUnreachable, UnsupportedEndpoint) as error:
                refusals.append(error)
        raise refusals[0]

    async def _open(self, destination: Destination) -> Socket:
        provider, handshake = destination.provider, self._handshake
        self._record.provider, self._record.model = provider.name, destination.model
        if provider.problem:
            raise UpstreamError(
                f"The provider {provider.name!r} cannot be called: {provider.problem}."
            )
        self._record.upstream_begins()
        crossing = headers.to_upstream(handshake.headers, provider.authorization, handshake.id)
        going = Outgoing(provider, "GET", realtime.PATH, crossing, b"", destination.query)
        try:
            return await self._door.open_socket(going, handshake.subprotocols)
        except NotUpgraded as answer:
            raise realtime.refused(
                answer.status,
                has_body=answer.has_body,
                provider=provider.name,
                model=destination.model,
            ) from None

    async def _unless_gone(self, opening: Coroutine[Any, Any, Socket]) -> Socket:
        """What `opening` gives. Raises ClientGone as soon as the client leaves."""
        working = asyncio.create_task(opening)
        leaving = asyncio.create_task(self._client.departure())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientGone("the client left")
        except (ClientGone, asyncio.CancelledError):
            await _abandoned(working)
            raise
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
        return working.result()

    # The client's side.

    async def _fail(self, error: GatewayError) -> None:
        if self._record.status:
            await self._client.close(realtime.after(error))
            return
        self._record.status = error.status
        own = {"content-type": "application/json", "x-request-id": self._handshake.id}
        pairs = [
            (name.encode(), value.encode()) for name, value in {**own, **error.headers}.items()
        ]
        await self._client.refuse(error.status, pairs, errors.shape(error))


async def _abandoned(opening: asyncio.Task[Socket]) -> None:
    """End it, and what it may have opened in the meantime."""
    opening.cancel()
    for opened in await asyncio.gather(opening, return_exceptions=True):
        if isinstance(opened, Socket):
            await opened.close(Closed(realtime.GOING_AWAY))
