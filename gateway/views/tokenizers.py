"""What a server tells of its tokenizer: a call without a body, whose model stands in the query."""

from __future__ import annotations

from dataclasses import replace

from gateway import queries, routing
from gateway.client import Watched
from gateway.relay import Delivery
from gateway.routing import Pool, Way
from gateway.upstream import Outgoing
from gateway.views.delivering import deliver_found
from gateway.views.exchange import Exchange, authenticated, outgoing
from gateway.views.search import Search


async def show(exchange: Exchange) -> None:
    caller, selector = authenticated(exchange), _selector(exchange)
    paths = exchange.endpoint.upstream_paths

    def pool() -> Pool:
        return exchange.pools.find(selector, exchange.fleet.look(), paths)

    with Watched(exchange.client):
        search = Search(exchange, pool, caller.key.owner)
        await deliver_found(exchange, search, lambda way: _put(exchange, way))


def _selector(exchange: Exchange) -> str:
    """What the query names, else the only model there is. Raises InvalidRequest."""
    named = queries.model_named(exchange.client.request.query)
    return queries.checked_selector(named or routing.unnamed(exchange.snapshot))


async def _put(exchange: Exchange, way: Way) -> tuple[Outgoing, Delivery]:
    model = way.target.model
    going = outgoing(exchange, way.provider, way.path, b"")
    delivery = Delivery(model, way.path, exchange.offload, exchange.dialect)
    return replace(going, query=queries.with_model(going.query, model)), delivery
