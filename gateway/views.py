"""A call on its way: each function here is the whole flow of one action, from caller to answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from gateway import calls, headers, passthrough, refusals, routing
from gateway.auth import Caller, authenticate
from gateway.client import Client, Watched
from gateway.endpoints import Action, Endpoint
from gateway.errors import NotReady, UpstreamError
from gateway.records import Record
from gateway.relay import relay
from gateway.upstream import Door, Outgoing
from providers.snapshot import ProviderEntry, Snapshot, public_id


@dataclass(frozen=True, slots=True)
class Exchange:
    """What one call has to work with: who asks, what is known, and the way upstream."""

    client: Client
    endpoint: Endpoint
    snapshot: Snapshot
    door: Door
    record: Record
    note_key_use: Callable[[UUID], None]


async def relayed(exchange: Exchange) -> None:
    """The one flow of every route that a vLLM server serves by itself."""
    _authenticated(exchange)
    headers.check_readable(exchange.client.request.headers)
    outgoing, model = _routed(exchange, calls.parse(await exchange.client.body()))
    with Watched(exchange.client):
        await _sent_and_relayed(exchange, outgoing, model)


async def passed_through(exchange: Exchange) -> None:
    """A vendor's own route, if it may pass; its body untouched."""
    caller = _authenticated(exchange)
    request = exchange.client.request
    passage = passthrough.passage(request.method, request.raw_path)
    exchange.record.path = passthrough.PREFIX + "{provider}" + passage.route.path
    providers = passthrough.candidates(passage.provider, exchange.snapshot)
    if len(providers) == 1 and request.announces_body:
        passthrough.permit(passage.route, providers[0], is_master=caller.is_master)
        await _streamed_through(exchange, passage, providers[0])
        return
    body = await exchange.client.body()
    model = calls.model_named(body)
    provider = passthrough.choose(providers, model)
    passthrough.permit(passage.route, provider, is_master=caller.is_master)
    served = model if model is not None and model in provider.models else ""
    exchange.record.model = served
    outgoing = _outgoing(exchange, provider, passage.path, body)
    with Watched(exchange.client):
        await _sent_and_relayed(exchange, outgoing, served)


async def list_models(exchange: Exchange) -> None:
    _authenticated(exchange)
    listing = {"object": "list", "data": list(exchange.snapshot.cards.values())}
    await exchange.client.answer_json(200, msgspec.json.encode(listing))


async def show_model(exchange: Exchange) -> None:
    """One card, by any selector that a call may use; under its public id."""
    _authenticated(exchange)
    selector = exchange.client.request.path.removeprefix(exchange.endpoint.prefix)
    target = routing.route(selector, exchange.snapshot)
    card = exchange.snapshot.cards[public_id(target.provider.name, target.model)]
    await exchange.client.answer_json(200, msgspec.json.encode(card))


async def health(exchange: Exchange) -> None:
    """The process lives; nothing else is looked at."""
    await exchange.client.answer_json(200, b'{"status":"ok"}')


async def ready(exchange: Exchange) -> None:
    """There is something to serve."""
    if not exchange.snapshot.cards:
        raise NotReady("No model is known yet: no provider is enabled, or none has answered.")
    await exchange.client.answer_json(200, b'{"status":"ready"}')


VIEWS: Mapping[Action, Callable[[Exchange], Awaitable[None]]] = {
    Action.RELAY: relayed,
    Action.PASS_THROUGH: passed_through,
    Action.LIST_MODELS: list_models,
    Action.SHOW_MODEL: show_model,
    Action.HEALTH: health,
    Action.READY: ready,
}


def _authenticated(exchange: Exchange) -> Caller:
    if not exchange.snapshot.is_loaded:
        raise NotReady("Aurora has not read its database yet.")
    caller = authenticate(exchange.client.request.headers, exchange.snapshot)
    exchange.record.key = caller.key.hint
    exchange.note_key_use(caller.key.id)
    return caller


def _routed(exchange: Exchange, call: calls.Call) -> tuple[Outgoing, str]:
    """Where `call` goes, and its upstream model. The body that came in is let go here: it may be
    large, and the answer may take hours."""
    target = routing.route(call.selector, exchange.snapshot)
    exchange.record.model = target.model
    path = exchange.endpoint.upstream_path
    return _outgoing(exchange, target.provider, path, call.body_for(target.model)), target.model


def _outgoing(exchange: Exchange, provider: ProviderEntry, path: str, body: bytes) -> Outgoing:
    request = exchange.client.request
    crossing = headers.to_upstream(request.headers, provider.authorization, request.id)
    return Outgoing(provider, request.method, path, crossing, body, request.query)


async def _streamed_through(
    exchange: Exchange, passage: passthrough.Passage, provider: ProviderEntry
) -> None:
    """The body goes on piece by piece as it comes in, with the length it was announced with."""
    length = exchange.client.check_length()
    with Watched(exchange.client, uploading=True) as watched:
        outgoing = _outgoing(exchange, provider, passage.path, b"")
        await _sent_and_relayed(exchange, outgoing.streaming(watched.pieces(), length), "")


async def _sent_and_relayed(exchange: Exchange, outgoing: Outgoing, model: str) -> None:
    record, provider = exchange.record, outgoing.provider
    record.provider = provider.name
    if provider.problem:
        raise UpstreamError(f"The provider {provider.name!r} cannot be called: {provider.problem}.")
    record.upstream_begins()
    try:
        async with await exchange.door.send(outgoing) as answer:
            await relay(answer, exchange.client, model=model, path=outgoing.path)
            if answer.status >= 400:
                record.reason = refusals.upstream_code(answer.status)
    finally:
        record.upstream_ends()
