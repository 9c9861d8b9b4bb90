"""Cohere's embed, native. Where the model knows no such `input_type`, the call is sent once more
without it."""

from __future__ import annotations

from gateway.client import Watched
from gateway.refusals import Reworded
from gateway.translation import embed
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, authenticated, read_call

LEFT_OUT = ((b"x-aurora-left-out", embed.NAME.encode()),)


async def embedded(exchange: Exchange) -> None:
    caller = authenticated(exchange)
    call = await read_call(exchange)
    with Watched(exchange.client):
        try:
            await deliver_asked(exchange, Asked(caller, call))
        except Reworded as refusal:
            if not embed.is_undefined(refusal):
                raise
            bare = embed.without_input_type(call)
            await deliver_asked(exchange, Asked(caller, bare, added=LEFT_OUT))
