"""Cohere's embed: native; once more without an `input_type` that the model cannot know."""

from __future__ import annotations

from gateway.client import Watched
from gateway.refusals import Reworded
from gateway.translation import embed
from gateway.views.exchange import (
    Asked,
    Exchange,
    authenticated,
    deliver_asked,
    natively,
    read_call,
)

LEFT_OUT = ((b"x-aurora-left-out", embed.NAME.encode()),)


async def embedded(exchange: Exchange) -> None:
    authenticated(exchange)
    call = await read_call(exchange)
    with Watched(exchange.client):
        try:
            await deliver_asked(exchange, Asked(call, natively))
        except Reworded as refusal:
            if not embed.is_undefined(refusal):
                raise
            bare = embed.without_input_type(call)
            await deliver_asked(exchange, Asked(bare, natively, added=LEFT_OUT))
