"""What every view works with: one call, what is known, and the steps that all calls share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

import msgspec

from gateway import calls, headers, hops, paging, queries, routing
from gateway.abilities import Abilities
from gateway.auth import Caller, authenticate, is_usable_key
from gateway.client import Client
from gateway.dialects import Dialect
from gateway.endpoints import Endpoint
from gateway.errors import NotReady
from gateway.fleet import Fleet
from gateway.header_names import NO_RULES, Rules
from gateway.missing_routes import MissingRoutes
from gateway.offload import Offload
from gateway.pdf import PdfReader
from gateway.records import Record
from gateway.routing import Pools
from gateway.runs import Runs
from gateway.standing import KeyCheck, Standing
from gateway.state.store import Store
from gateway.state.values import Page
from gateway.unpacking import Unpacker
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
    pools: Pools
    fleet: Fleet
    store: Store
    runs: Runs
    pdfs: PdfReader
    abilities: Abilities
    unpacker: Unpacker
    offload: Offload
    ask_anew: Callable[[UUID], None]
    """Has a provider's server asked soon for what it serves: it may have changed."""
    header_rules: Rules = NO_RULES
    """Which headers cross, beside those that always do or never."""
    installation: tuple[str, ...] = ()
    """The ids by which this Aurora is known to others; the first is said."""
    check_key: KeyCheck = lambda: None
    """Of whoever waits: raises once the key that began this is none for calls any more."""
    standing: Standing = field(default_factory=Standing)
    is_stopping: bool = False
    """Whether this process was told to stop before the call began."""

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
    """The body, read once. Raises what `calls.parse` and `Client.plain_body` raise."""
    return await _read(exchange, calls.parse)


async def read_detailed_call(exchange: Exchange) -> calls.Call:
    """A call that is read in all its detail. Raises what `calls.detailed` and `Client.plain_body`
    raise."""
    return await _read(exchange, calls.detailed)


async def _read(exchange: Exchange, parse: Callable[..., calls.Call]) -> calls.Call:
    body = await exchange.client.plain_body(exchange.unpacker)
    unnamed = routing.unnamed(exchange.snapshot)
    return await exchange.offload.run(len(body), parse, body, unnamed=unnamed)


async def answer_page(exchange: Exchange, page: Page) -> None:
    """A page of items, as OpenAI's clients read it."""
    size = sum(map(len, page.items))
    body = await exchange.offload.run(size, paging.listed, page)
    await exchange.client.answer_json(200, body)


def outgoing(exchange: Exchange, provider: ProviderEntry, path: str, body: bytes) -> Outgoing:
    request = exchange.client.request
    crossing = headers.to_upstream(
        request.headers,
        provider.authorization,
        request.id,
        exchange.header_rules,
        hops.onward(request.headers, exchange.installation),
    )
    query = queries.crossing(request.query, partial(is_usable_key, snapshot=exchange.snapshot))
    return Outgoing(provider, request.method, path, crossing, body, query)
