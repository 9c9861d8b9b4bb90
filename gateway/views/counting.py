"""What a response would take in: counted by the server's own tokenizer. Compacting it is refused."""

from __future__ import annotations

from gateway.client import Watched
from gateway.errors import NotImplementedHere
from gateway.routing import Way
from gateway.translation import Stamp, Translation, responses
from gateway.views.delivering import Asked, deliver_asked
from gateway.views.exchange import Exchange, authenticated, read_detailed_call
from gateway.views.expansion import whole
from gateway.views.pdfs import read_pdfs


async def count_input_tokens(exchange: Exchange) -> None:
    caller = authenticated(exchange)
    call = await read_detailed_call(exchange)
    with Watched(exchange.client):
        ask = await exchange.offload.run(call.size_bytes, responses.read, call.members, Stamp.now())
        sent = await whole(exchange, caller.key.owner, call, ask)
        pdfs = await read_pdfs(exchange, caller.key.owner, call, sent.members, responses.pdfs)

        def translate(way: Way) -> Translation:
            return responses.to_tokenize(
                sent.members, way.target.model, context_length=sent.context_length, pdfs=pdfs
            )

        await deliver_asked(exchange, Asked(caller, call, translate, size_bytes=sent.size_bytes))


async def compact(exchange: Exchange) -> None:
    authenticated(exchange)
    raise NotImplementedHere(
        "Responses are not compacted here: no vLLM server can, so send the items to go on from."
    )
