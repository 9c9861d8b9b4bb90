"""What every view works with: one call, what is known, and the steps that all calls share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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


async def deliver(exchange: Exchange, going: Outgoing, delivery: Delivery) -> None:
    """Send, and hand the answer on. Raises what `Door.send` and `relay` raise; a route that turned
    out to be missing is remembered."""
    record, provider = exchange.record, going.provider
    record.provider = provider.name
    if provider.problem:
        raise UpstreamError(f"The provider {provider.name!r} cannot be called: {provider.problem}.")
    record.upstream_begins()
    try:
        async with await exchange.door.send(going) as answer:
            await relay(answer, exchange.client, delivery)
            if answer.status >= 400:
                record.reason = refusals.upstream_code(answer.status)
    except MissingRoute:
        exchange.missing.note(provider, going.path)
        raise
    finally:
        record.upstream_ends()


Translate = Callable[[routing.Way], Translation | None]
"""How a call is put for the way it goes; None: as the client put it."""


def natively(_: routing.Way) -> None:
    """A `Translate` for what every server of the call's path speaks."""


async def deliver_any_way(
    exchange: Exchange,
    call: calls.Call | forms.Form,
    translate: Translate,
    watcher: Watcher | None = None,
    *,
    added: Pairs = (),
) -> None:
    """Send the call by the first way that there turns out to be, natively if it can be.
    `added` are headers of the answer.

    Ends, because each way that is missing is not tried again. Raises UnsupportedEndpoint where
    none is left.
    """
    while True:
        way = routed(exchange, call.selector)
        translation = translate(way)
        body = translation.body if translation else call.body_for(way.target.model)
        delivery = Delivery(
            way.target.model, way.path, exchange.dialect, translation, watcher, added
        )
        try:
            await deliver(
                exchange, outgoing(exchange, way.target.provider, way.path, body), delivery
            )
            return
        except MissingRoute:
            continue
