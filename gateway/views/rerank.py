"""Rerank: native, with what Cohere's and Jina's clients send besides."""

from __future__ import annotations

from gateway.client import Watched
from gateway.routing import Way
from gateway.translation import Translation, rerank
from gateway.views.exchange import Exchange, authenticated, deliver_any_way, read_call


async def reranked(exchange: Exchange) -> None:
    authenticated(exchange)
    call = await read_call(exchange)

    def translate(way: Way) -> Translation | None:
        return rerank.to_vllm(call.members, way.target.model, way.path)

    with Watched(exchange.client):
        await deliver_any_way(exchange, call, translate)
