"""Calls that come as a form with a file in it: the `model` is found, all else goes on as it came."""

from __future__ import annotations

from gateway import forms, headers, routing
from gateway.client import Watched
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, authenticated


async def relayed_form(exchange: Exchange) -> None:
    caller = authenticated(exchange)
    asked = Asked(caller, await _read_form(exchange))
    with Watched(exchange.client):
        await deliver_asked(exchange, asked)


async def _read_form(exchange: Exchange) -> forms.Form:
    """Raises what `forms.parse` and `Client.plain_body` raise."""
    content_type = headers.first(exchange.client.request.headers, b"content-type") or b""
    body = await exchange.client.plain_body(exchange.unpacker)
    unnamed = routing.unnamed(exchange.snapshot)
    return await exchange.offload.run(len(body), forms.parse, body, content_type, unnamed=unnamed)
