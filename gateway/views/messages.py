"""Anthropic's Messages: native where the server has them, else by way of chat completions."""

from __future__ import annotations

from collections.abc import Callable

from gateway.auth import Caller
from gateway.calls import Call
from gateway.client import Watched
from gateway.routing import Way
from gateway.translation import Stamp, Translation, messages
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, authenticated, read_call

Put = Callable[[Call, str], Translation]
"""The call in the server's dialect, for its model of this id."""


async def create(exchange: Exchange) -> None:
    stamp = Stamp.now()
    await _delivered(exchange, lambda call, model: messages.to_chat(call.members, model, stamp))


async def count_tokens(exchange: Exchange) -> None:
    await _delivered(exchange, lambda call, model: messages.to_tokenize(call.members, model))


async def _delivered(exchange: Exchange, put: Put) -> None:
    caller = authenticated(exchange)
    asked = _asked(caller, exchange.endpoint.path, await read_call(exchange), put)
    with Watched(exchange.client):
        await deliver_asked(exchange, asked)


def _asked(caller: Caller, native: str, call: Call, put: Put) -> Asked:
    def translate(way: Way) -> Translation | None:
        return None if way.path == native else put(call, way.target.model)

    return Asked(caller, call, translate)
