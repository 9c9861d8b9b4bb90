"""What passes to a vLLM server by its own paths, `/p/…`."""

from __future__ import annotations

from http import HTTPStatus

from gateway import calls, passthrough
from gateway.auth import Caller
from gateway.client import Watched
from gateway.endpoints import STREAMED
from gateway.fleet import Place
from gateway.passthrough import Access, Passage
from gateway.relay import Delivery
from gateway.routing import Pool, Way
from gateway.upstream import Outgoing
from gateway.views.delivering import deliver_found, deliver_once, early_head
from gateway.views.exchange import Exchange, authenticated, outgoing
from gateway.views.search import Search
from providers.snapshot import ProviderEntry


async def passed_through(exchange: Exchange) -> None:
    """A vendor's own route, if it may pass; its body untouched."""
    caller = authenticated(exchange)
    request = exchange.client.request
    passage = passthrough.passage(request.method, request.raw_path)
    exchange.record.path = passthrough.PREFIX + "{provider}" + passage.route.path
    providers = passthrough.candidates(passage.provider, exchange.snapshot)
    if len(providers) == 1 and request.announces_body:
        passthrough.permit(passage.route, providers[0], is_master=caller.is_master)
    if _may_stream(exchange, passage, providers):
        await _streamed_through(exchange, passage, providers[0], caller)
    else:
        await _read_through(exchange, passage, providers, caller)


def _may_stream(exchange: Exchange, passage: Passage, providers: tuple[ProviderEntry, ...]) -> bool:
    """Whether the body can go on as it comes in: to the one server there is, which an upload that
    takes its time must not keep from others."""
    if len(providers) > 1 or not exchange.client.request.announces_body:
        return False
    exchange.fleet.look()
    return passage.route.access is not Access.INFERENCE or exchange.fleet.is_unlimited(providers[0])


async def _read_through(
    exchange: Exchange, passage: Passage, providers: tuple[ProviderEntry, ...], caller: Caller
) -> None:
    """The body is read: its `model` says to which of the servers it may go."""
    body = await exchange.client.body()
    model, is_streamed = await exchange.offload.run(len(body), calls.glance, body)
    serving = passthrough.serving(providers, model)
    passthrough.permit(passage.route, serving[0], is_master=caller.is_master)
    pool = _pool(exchange, passage, passthrough.allowing(passage.route, serving), model)
    way = pool.tiers[0].ways[0]

    def delivery() -> Delivery:
        return Delivery(way.target.model, passage.path, exchange.offload, exchange.dialect)

    async def put(way: Way) -> tuple[Outgoing, Delivery]:
        return outgoing(exchange, way.provider, way.path, body), delivery()

    with Watched(exchange.client):
        if passage.route.access is Access.INFERENCE:
            if is_streamed and passage.path in STREAMED:
                exchange.client.waiting.begin(lambda: early_head(exchange))
            search = Search(exchange, lambda: pool, caller.key.owner)
            await deliver_found(exchange, search, put)
        else:
            place = exchange.fleet.look_after(way)
            going = outgoing(exchange, place.way.provider, way.path, body)
            await _send_once(exchange, passage, place, going, delivery())


def _pool(
    exchange: Exchange, passage: Passage, serving: list[ProviderEntry], model: str | None
) -> Pool:
    return passthrough.pool(serving, model, passage, exchange.pools.settings)


async def _streamed_through(
    exchange: Exchange, passage: Passage, provider: ProviderEntry, caller: Caller
) -> None:
    """The body goes on piece by piece as it comes in, with the length it was announced with. It
    cannot be sent twice, and so no other server is asked."""
    length = exchange.client.check_length()
    pool = _pool(exchange, passage, [provider], None)
    with Watched(exchange.client, uploading=True) as watched:
        place = await _only_place(exchange, passage, pool, caller)
        going = outgoing(exchange, place.way.provider, passage.path, b"")
        delivery = Delivery("", passage.path, exchange.offload, exchange.dialect)
        going = going.streaming(watched.pieces(), length)
        await _send_once(exchange, passage, place, going, delivery)


async def _send_once(
    exchange: Exchange, passage: Passage, place: Place, going: Outgoing, delivery: Delivery
) -> None:
    """As `deliver_once`. A server that may serve other models afterwards is asked which, even where
    no answer came: it may have changed them all the same."""
    try:
        await deliver_once(exchange, place, going, delivery)
    finally:
        if passage.changes_models and exchange.client.status < HTTPStatus.MULTIPLE_CHOICES:
            exchange.ask_anew(going.provider.id)


async def _only_place(exchange: Exchange, passage: Passage, pool: Pool, caller: Caller) -> Place:
    """A draining server still answers those who look after it."""
    way = pool.tiers[0].ways[0]
    if passage.route.access is not Access.INFERENCE:
        return exchange.fleet.look_after(way)
    return await Search(exchange, lambda: pool, caller.key.owner).first_place()
