"""The one flow of every route that a vLLM server serves by itself."""

from __future__ import annotations

from gateway.client import Watched
from gateway.views.exchange import (
    Asked,
    Exchange,
    authenticated,
    deliver_asked,
    natively,
    read_call,
)


async def relayed(exchange: Exchange) -> None:
    authenticated(exchange)
    asked = Asked(await read_call(exchange), natively)
    with Watched(exchange.client):
        await deliver_asked(exchange, asked)
