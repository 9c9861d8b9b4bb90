"""The one flow of every route that a vLLM server serves by itself."""

from __future__ import annotations

from gateway.calls import Call
from gateway.client import Watched
from gateway.relay import Delivery
from gateway.upstream import Outgoing
from gateway.views.exchange import (
    Exchange,
    authenticated,
    deliver,
    deliver_any_way,
    natively,
    outgoing,
    read_call,
    routed,
)


async def relayed(exchange: Exchange) -> None:
    authenticated(exchange)
    if len(exchange.endpoint.upstream_paths) > 1:
        await _relayed_any_way(exchange)
        return
    going, delivery = _routed(exchange, await read_call(exchange))
    with Watched(exchange.client):
        await deliver(exchange, going, delivery)


async def _relayed_any_way(exchange: Exchange) -> None:
    """A server may have the route by another of its paths."""
    call = await read_call(exchange)
    with Watched(exchange.client):
        await deliver_any_way(exchange, call, natively)


def _routed(exchange: Exchange, call: Call) -> tuple[Outgoing, Delivery]:
    """Where `call` goes. The body that came in is let go here: it may be large, and the answer may
    take hours."""
    way = routed(exchange, call.selector)
    provider, model = way.target.provider, way.target.model
    delivery = Delivery(model, way.path, exchange.dialect)
    return outgoing(exchange, provider, way.path, call.body_for(model)), delivery
