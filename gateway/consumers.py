"""The realtime API: one WebSocket of a client, joined to one of a vLLM server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn
from uuid import UUID

from channels.consumer import AsyncConsumer
from channels.exceptions import StopConsumer

from gateway import (
    errors,
    failover,
    headers,
    hops,
    passthrough,
    queries,
    realtime,
    refusals,
    routing,
)
from gateway.auth import Caller, authenticate, is_usable_key
from gateway.bridge import ClientSocket, End, joined
from gateway.client import Message, Receive, Send, address_of
from gateway.errors import (
    ClientGone,
    GatewayError,
    MissingRoute,
    NotPermitted,
    NotReady,
    TooBusy,
    Unauthorized,
    UnknownPath,
    UpstreamError,
    UpstreamStale,
)
from gateway.failover import Visit
from gateway.fleet import Fleet, Place
from gateway.header_names import NO_RULES, Rules
from gateway.memory import Charge, Memory
from gateway.realtime import Closed, Handshake
from gateway.records import Record
from gateway.refusals import Reworded
from gateway.routing import Target
from gateway.upstream import Door, NotUpgraded, Outgoing, Socket
from providers.catalog import Catalog
from providers.snapshot import ProviderEntry, Snapshot

KEY_CHECK_SECONDS = 0.5
log = logging.getLogger("aurora.gateway")


@dataclass(frozen=True, slots=True)
class Destination:
    """A server that a session may go to. Its model is empty where none is known."""

    target: Target
    query: bytes
    weight: float
    """Beside the others of its tier."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The server's side of a session, and the place that it has there."""

    socket: Socket
    place: Place
    visit: Visit


class Realtime(AsyncConsumer):
    """`WS /v1/realtime`, and the same of one provider below `/p/`.

    Channels hands its consumers one message at a time: while a handler waits for a slow server,
    it would not hear that the client has left. And before each message it has a thread look after
    the database's connections, which would make calls wait for the database. So the first message
    is all that is dispatched, and the session goes on from there.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        door: Door,
        note_key_use: Callable[[UUID], None],
        fleet: Fleet,
        header_rules: Rules = NO_RULES,
        installation: tuple[str, ...] = (),
        memory: Memory | None = None,
    ) -> None:
        self._catalog, self._door, self._note_key_use = catalog, door, note_key_use
        self._fleet, self._header_rules = fleet, header_rules
        self._installation, self._memory = installation, memory

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        self._handshake = Handshake.of(scope)
        self._client = ClientSocket(scope, receive, send)
        self._record = Record("GET", self._handshake.id, address_of(scope))
        self._dialled = 0
        """Servers that may have begun on the session before they failed it."""
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
        tiers = self._tiers(self._fleet.look())
        opened = await self._unless_gone(self._opened(tiers))
        with self._visiting(opened):
            async with opened.socket as socket:
                record.status = 101
                told = [
                    (b"x-request-id", handshake.id.encode()),
                    (b"x-aurora-provider", socket.provider.name.encode()),
                    *record.told_attempts,
                ]
                await self._client.accept(handshake.chosen(socket.subprotocol), told)
                try:
                    await self._ended(await self._joined(opened), socket)
                except (Unauthorized, NotPermitted) as error:
                    record.reason = error.reason
                    await self._client.close(realtime.after(error))  # before the server's goodbye
                finally:
                    record.upstream_ends()

    @contextmanager
    def _visiting(self, opened: Opened) -> Iterator[None]:
        """Within, its place is taken; then all is told of its server that there is to tell."""
        with self._fleet.visiting(opened.place):
            try:
                yield
            finally:
                opened.visit.end()

    async def _joined(self, opened: Opened) -> End:
        """A server that breaks off a session is told of as one that breaks off an answer."""
        charge = Charge(self._memory)
        try:
            end = await joined(self._client, opened.socket, self._until_key_ends(), charge)
        except UpstreamError as error:
            opened.visit.failed(error)
            raise
        finally:
            charge.free()
        if end.closed.code == realtime.ABNORMAL and not end.by_client:
            opened.visit.failed(ConnectionAbortedError())
        return end

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

    def _tiers(self, snapshot: Snapshot) -> list[list[Destination]]:
        path = self._handshake.path
        hops.check(self._handshake.headers, self._installation)
        if path == realtime.PATH:
            self._record.path = path
            self._authenticated(snapshot)
            return self._by_model(snapshot)
        if path.startswith(passthrough.PREFIX):
            caller = self._authenticated(snapshot)
            return self._by_provider(snapshot, caller)
        raise UnknownPath(f"There is no WebSocket at {path[:200]}.")

    def _authenticated(self, snapshot: Snapshot) -> Caller:
        if not snapshot.is_loaded:
            raise NotReady("Aurora has not read its database yet.")
        self._caller = caller = authenticate(self._handshake.headers, snapshot)
        self._record.key = caller.key.hint
        self._note_key_use(caller.key.id)
        return caller

    async def _until_key_ends(self) -> NoReturn:
        """Raises Unauthorized once the key of the session is revoked, or has expired, and
        NotPermitted once it is no key for calls any more."""
        checked = None
        while True:
            snapshot = self._catalog.current()
            if snapshot is not checked or self._caller.key.expires is not None:
                self._caller = authenticate(self._handshake.headers, snapshot)
                checked = snapshot
            await asyncio.sleep(KEY_CHECK_SECONDS)

    def _by_model(self, snapshot: Snapshot) -> list[list[Destination]]:
        handshake, selector = self._handshake, self._handshake.selector()
        routing.route(selector, snapshot)
        return [
            [
                Destination(share.target, handshake.query_for(share.target.model), share.weight)
                for share in tier
            ]
            for tier in routing.tiers(selector, snapshot)
        ]

    def _by_provider(self, snapshot: Snapshot, caller: Caller) -> list[list[Destination]]:
        """A vendor's own route, if it may pass; its query untouched."""
        handshake = self._handshake
        passage = passthrough.realtime_passage(handshake.raw_path)
        self._record.path = passthrough.PREFIX + "{provider}" + passage.route.path
        providers = passthrough.candidates(passage.provider, snapshot)
        serving = passthrough.serving(providers, handshake.model)
        passthrough.permit(passage.route, serving[0], is_master=caller.is_master)
        allowing = passthrough.allowing(passage.route, serving)
        pool = passthrough.pool(allowing, handshake.model, passage, routing.Settings())
        return [
            [
                Destination(way.target, handshake.query, weight)
                for way, weight in zip(tier.ways, tier.weights, strict=True)
            ]
            for tier in pool.tiers
        ]

    # The server's side.

    async def _opened(self, tiers: list[list[Destination]]) -> Opened:
        """The first server that takes the session, of those that may be called and have room: for
        a place, a session does not wait. Raises what the first of them said.

        Dials are attempts like any others: counted, and of the retry budget.
        """
        self._fleet.budget.earn()
        first: GatewayError | None = None
        while (destination := self._readiest(tiers)) is not None:
            try:
                return await self._visited(destination)
            except GatewayError as error:
                first = first or error
                if not self._goes_on(error, destination.target.provider):
                    break
                if isinstance(error, UpstreamStale):
                    continue
            tiers = [[each for each in tier if each is not destination] for tier in tiers]
        raise first or self._nobody(tiers)

    def _goes_on(self, error: GatewayError, provider: ProviderEntry) -> bool:
        """Whether the next server is dialled. One that has no such route has executed nothing."""
        if isinstance(error, MissingRoute):
            return True
        self._dialled += failover.may_have_begun(error)
        if self._dialled >= failover.MOST_SENT or not _asks_another(error, provider):
            return False
        return self._fleet.budget.spend(self._fleet.now())

    def _readiest(self, tiers: list[list[Destination]]) -> Destination | None:
        """One that is unwell only where no tier has another."""
        self._fleet.look()
        now = self._fleet.now()
        ready = [
            target
            for tier in tiers
            for target in self._fleet.readiest((each.target, each.weight) for each in tier)
        ]
        ready.sort(key=lambda target: not self._fleet.known(target.provider).admits(now))
        found = (each for tier in tiers for each in tier if ready and each.target is ready[0])
        return next(found, None)

    def _nobody(self, tiers: list[list[Destination]]) -> GatewayError:
        known = (self._fleet.known(each.target.provider) for tier in tiers for each in tier)
        sights = list(dict.fromkeys(known))
        if len(sights) == 1:
            self._record.provider = sights[0].entry.name
        now = self._fleet.now()
        if any(sight.allows(now) for sight in sights):
            return TooBusy("Every server of this model has as many calls as it may.")
        return failover.nobody(sights, now)

    async def _visited(self, destination: Destination) -> Opened:
        """Where the server's row says by now. What becomes of the handshake is told of the server.
        Whoever gets what it opened, gives its place back."""
        place = self._fleet.call_on(routing.Way(destination.target, realtime.PATH))
        visit, socket = Visit(place, self._fleet.now), None
        try:
            socket = await self._open(place.way.target, destination.query)
            visit.begun()
        except GatewayError as error:
            visit.failed(error)
            raise
        finally:
            if socket is None:
                visit.end()
                self._fleet.give_back(place)
        return Opened(socket, place, visit)

    async def _open(self, target: Target, query: bytes) -> Socket:
        handshake, provider, model = self._handshake, target.provider, target.model
        self._record.provider, self._record.model = provider.name, model
        self._record.attempts += 1
        self._record.upstream_begins()
        crossing = headers.to_upstream(
            handshake.headers,
            provider.authorization,
            handshake.id,
            self._header_rules,
            hops.onward(handshake.headers, self._installation),
        )
        is_key = partial(is_usable_key, snapshot=self._catalog.current())
        query = queries.crossing(query, is_key)
        going = Outgoing(provider, "GET", realtime.PATH, crossing, b"", query)
        try:
            return await self._door.open_socket(going, handshake.subprotocols)
        except NotUpgraded as answer:
            raise realtime.refused(
                answer.status, has_body=answer.has_body, provider=provider.name, model=model
            ) from None

    async def _unless_gone(self, opening: Coroutine[Any, Any, Opened]) -> Opened:
        """What `opening` gives. Raises ClientGone as soon as the client leaves."""
        working = asyncio.create_task(opening)
        leaving = asyncio.create_task(self._client.departure())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)
            if not working.done():
                raise ClientGone("the client left")
        except (ClientGone, asyncio.CancelledError):
            leaving.cancel()
            await self._abandoned(working)
            raise
        return working.result()

    async def _abandoned(self, opening: asyncio.Task[Opened]) -> None:
        """End it, and what it may have opened in the meantime."""
        opening.cancel()
        for opened in await asyncio.gather(opening, return_exceptions=True):
            if isinstance(opened, Opened):
                with self._visiting(opened):
                    await opened.socket.close(Closed(realtime.GOING_AWAY))

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
        pairs += self._record.told_attempts
        await self._client.refuse(error.status, pairs, errors.shape(error))


def _asks_another(error: GatewayError, provider: ProviderEntry) -> bool:
    """Of a server that answers with a status there is no more than this to go by."""
    if isinstance(error, Reworded):
        return error.status in refusals.OF_STATUS
    return failover.asks_another(error, provider)
