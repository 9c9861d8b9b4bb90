"""Anthropic's Messages: native where the server has them, else by way of chat completions."""

from __future__ import annotations

from gateway.client import Watched
from gateway.routing import Way
from gateway.translation import Stamp, Translation, messages
from gateway.views.exchange import Exchange, authenticated, deliver_any_way, read_call


async def create(exchange: Exchange) -> None:
    authenticated(exchange)
    call, stamp = await read_call(exchange), Stamp.now()

    def translate(way: Way) -> Translation | None:
        if way.path == exchange.endpoint.path:
            return None
        return messages.to_chat(call.members, way.target.model, stamp)

    with Watched(exchange.client):
        await deliver_any_way(exchange, call, translate)


async def count_tokens(exchange: Exchange) -> None:
    authenticated(exchange)
    call = await read_call(exchange)

    def translate(way: Way) -> Translation | None:
        if way.path == exchange.endpoint.path:
            return None
        return messages.to_tokenize(call.members, way.target.model)

    with Watched(exchange.client):
        await deliver_any_way(exchange, call, translate)
