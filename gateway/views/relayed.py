"""The one flow of every route that a vLLM server serves by itself."""

from __future__ import annotations

from gateway.client import Watched
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, authenticated, read_call


async def relayed(exchange: Exchange) -> None:
    caller = authenticated(exchange)
    asked = Asked(caller, await read_call(exchange))
    with Watched(exchange.client):
        await deliver_asked(exchange, asked)
