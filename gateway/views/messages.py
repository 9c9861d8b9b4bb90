"""Anthropic's Messages: native where the server has them, else by way of chat completions."""

from __future__ import annotations

from collections.abc import Callable

from gateway.abilities import Ability
from gateway.auth import Caller
from gateway.calls import Call
from gateway.client import Watched
from gateway.routing import Way
from gateway.surrogates import mended_members
from gateway.translation import Stamp, Translation, messages
from gateway.translation.documents import PdfTexts
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, authenticated, read_call
from gateway.views.pdfs import read_pdfs

Put = Callable[[Call, str, PdfTexts, frozenset[Ability]], Translation]
"""The call in the server's dialect, for its model of this id, without what the server lacks."""


async def create(exchange: Exchange) -> None:
    stamp = Stamp.now()

    def put(call: Call, model: str, pdfs: PdfTexts, lacking: frozenset[Ability]) -> Translation:
        return messages.to_chat(mended_members(call.members), model, stamp, pdfs, lacking)

    await _delivered(exchange, put)


async def count_tokens(exchange: Exchange) -> None:
    def put(call: Call, model: str, pdfs: PdfTexts, lacking: frozenset[Ability]) -> Translation:
        return messages.to_tokenize(mended_members(call.members), model, pdfs, lacking)

    await _delivered(exchange, put)


async def _delivered(exchange: Exchange, put: Put) -> None:
    """Nothing here holds the call's body while its answer runs."""
    caller = authenticated(exchange)
    call = await read_call(exchange)
    await exchange.offload.run(call.size_bytes, messages.check_thread, call.members)
    with Watched(exchange.client):
        pdfs = await read_pdfs(exchange, caller.key.owner, call, call.members, messages.pdfs)
        asked = _asked(exchange, caller, call, pdfs, put)
        del call, pdfs
        await deliver_asked(exchange, asked)


def _asked(exchange: Exchange, caller: Caller, call: Call, pdfs: PdfTexts, put: Put) -> Asked:
    native, abilities = exchange.endpoint.path, exchange.abilities

    def translate(way: Way) -> Translation | None:
        if way.path == native:
            return None
        model = way.target.model
        return put(call, model, pdfs, abilities.lacking(way.provider, model))

    return Asked(caller, call, translate)
