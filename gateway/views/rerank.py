"""Rerank: native, with what Cohere's and Jina's clients send besides."""

from __future__ import annotations

from gateway.auth import Caller
from gateway.calls import Call
from gateway.client import Watched
from gateway.routing import Way
from gateway.surrogates import mended_members
from gateway.translation import Translation, rerank
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, authenticated, read_call


async def reranked(exchange: Exchange) -> None:
    caller = authenticated(exchange)
    asked = _asked(caller, await read_call(exchange))
    with Watched(exchange.client):
        await deliver_asked(exchange, asked)


def _asked(caller: Caller, call: Call) -> Asked:
    def translate(way: Way) -> Translation | None:
        return rerank.to_vllm(mended_members(call.members), way.target.model, way.path)

    return Asked(caller, call, translate)
