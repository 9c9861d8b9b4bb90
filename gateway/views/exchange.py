"""What every view works with: one call, what is known, and the steps that all calls share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from gateway import calls, forms, headers, refusals, routing
from gateway.auth import Caller, authenticate
from gateway.client import Client
from gateway.dialects import Dialect
from gateway.endpoints import Endpoint
from gateway.errors import MissingRoute, NotReady, UpstreamError
from gateway.missing_routes import MissingRoutes
from gateway.records import Record
from gateway.relay import Delivery, Watcher, relay
from gateway.runs import Runs
from gateway.state.store import Store
from gateway.translation import Translation
from gateway.upstream import Door, Outgoing
from providers.snapshot import ProviderEntry, Snapshot

Members = Mapping[str, msgspec.Raw]
Pairs = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one call has to work with: who asks, what is known, and the way upstream."""

    client: Client
    endpoint: Endpoint
    dialect: Dialect
    snapshot: Snapshot
    door: Door
    record: Record
    note_key_use: Callable[[UUID], None]
    missing: MissingRoutes
    store: Store
    runs: Runs

    def name(self, name: str) -> str:
        """What stands in the path for `{name}` of its row."""
        return self.endpoint.names(self.client.request.path)[name]


def authenticated(exchange: Exchange) -> Caller:
    """Who calls. Raises Unauthorized, or NotReady while nothing is known yet."""
    if not exchange.snapshot.is_loaded:
        raise NotReady("Aurora has not read its database yet.")
    caller = authenticate(exchange.client.request.headers, exchange.snapshot)
    exchange.record.key = caller.key.hint
    exchange.note_key_use(caller.key.id)
    return caller


async def read_call(exchange: Exchange) -> calls.Call:
    """The body, read once. Raises what `calls.parse` and `Client.body` raise."""
    headers.check_readable(exchange.client.request.headers)
    return calls.parse(await exchange.client.body())


def routed(exchange: Exchange, selector: str) -> routing.Way:
    """Where the call goes now. Raises UnknownModel or UnsupportedEndpoint."""
    paths = exchange.endpoint.upstream_paths
    way = routing.way(selector, exchange.snapshot, paths, exchange.missing.lacks)
    exchange.record.model = way.target.model
    return way


def outgoing(exchange: Exchange, provider: ProviderEntry, path: str, body: bytes) -> Outgoing:
    request = exchange.client.request
    crossing = headers.to_upstream(request.headers, provider.authorization, request.id)
    return Outgoing(provider, request.method, path, crossing, body, request.query)


async def deliver(
    exchange: Exchange,
    going: Outgoing,
    delivery: Delivery,
    let_go: Callable[[], None] = lambda: None,
) -> None:
    """Send, and hand the answer on. Raises what `Door.send` and `relay` raise; a route that turned
    out to be missing is remembered.

    `let_go` is called once the call will not be sent again: its answer is no refusal.
    """
    record, provider, path = exchange.record, going.provider, going.path
    record.provider = provider.name
    if provider.problem:
        raise UpstreamError(f"The provider {provider.name!r} cannot be called: {provider.problem}.")
    record.upstream_begins()
    try:
        async with await exchange.door.send(going) as answer:
            del going
            if answer.status < 400:
                let_go()
            await relay(answer, exchange.client, delivery)
            if answer.status >= 400:
                record.reason = refusals.upstream_code(answer.status)
    except MissingRoute:
        exchange.missing.note(provider, path)
        raise
    finally:
        record.upstream_ends()


Translate = Callable[[routing.Way], Translation | None]
"""How a call is put for the way it goes; None: as the client put it."""


def natively(_: routing.Way) -> None:
    """A `Translate` for what every server of the call's path speaks."""


@dataclass(slots=True)
class Asked:
    """A call as it can be put for each way there is, until it is let go.

    Whoever holds nothing else of the call holds nothing of its body while the answer runs.
    """

    call: calls.Call | forms.Form = field(repr=False)
    translate: Translate
    watcher: Watcher | None = None
    added: Pairs = ()
    """Headers of the answer."""
    _translation: Translation | None = None

    def put(self, exchange: Exchange) -> tuple[Outgoing, Delivery]:
        """For the first way that there turns out to be. Raises what `routed` and `translate` do."""
        way = routed(exchange, self.call.selector)
        self._translation = translation = self.translate(way)
        body = translation.body if translation else self.call.body_for(way.target.model)
        delivery = Delivery(
            way.target.model, way.path, exchange.dialect, translation, self.watcher, self.added
        )
        return outgoing(exchange, way.target.provider, way.path, body), delivery

    def let_go(self) -> None:
        """The call was sent: of what it said, only how its answer is brought back is needed."""
        self.call, self.translate = calls.Call(self.call.selector, {}), natively
        if self._translation is not None:
            self._translation.body = b""


async def deliver_asked(exchange: Exchange, asked: Asked) -> None:
    """Send the call by the first way that there turns out to be, natively if it can be.

    Ends, because each way that is missing is not tried again. Raises UnsupportedEndpoint where
    none is left.
    """
    while True:
        try:
            await deliver(exchange, *asked.put(exchange), asked.let_go)
            return
        except MissingRoute:
            continue
