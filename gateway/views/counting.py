"""What a response would take in: counted by the server's own tokenizer. Compacting it is refused."""

from __future__ import annotations

from gateway.calls import check_values, mended
from gateway.client import Watched
from gateway.errors import NotImplementedHere
from gateway.routing import Way
from gateway.translation import Stamp, Translation, responses
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, authenticated, read_call
from gateway.views.expansion import whole
from gateway.views.pdfs import read_pdfs


async def count_input_tokens(exchange: Exchange) -> None:
    caller = authenticated(exchange)
    call = mended(await read_call(exchange))
    check_values(call.members)
    ask = responses.read(call.members, Stamp.now())
    with Watched(exchange.client):
        sent = await whole(exchange.store, caller.key.owner, call.members, ask)
        pdfs = await read_pdfs(exchange, call.selector, sent.members, responses.pdfs)

        def translate(way: Way) -> Translation:
            return responses.to_tokenize(
                sent.members, way.target.model, context_length=sent.context_length, pdfs=pdfs
            )

        await deliver_asked(exchange, Asked(caller, call, translate))


async def compact(exchange: Exchange) -> None:
    authenticated(exchange)
    raise NotImplementedHere(
        "Responses are not compacted here: no vLLM server can, so send the items to go on from."
    )
