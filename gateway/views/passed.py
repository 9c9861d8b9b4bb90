"""What passes to a vLLM server by its own paths, `/p/…`."""

from __future__ import annotations

from gateway import calls, passthrough
from gateway.client import Watched
from gateway.relay import Delivery
from gateway.views.exchange import Exchange, authenticated, deliver, outgoing
from providers.snapshot import ProviderEntry


async def passed_through(exchange: Exchange) -> None:
    """A vendor's own route, if it may pass; its body untouched."""
    caller = authenticated(exchange)
    request = exchange.client.request
    passage = passthrough.passage(request.method, request.raw_path)
    exchange.record.path = passthrough.PREFIX + "{provider}" + passage.route.path
    providers = passthrough.candidates(passage.provider, exchange.snapshot)
    if len(providers) == 1 and request.announces_body:
        passthrough.permit(passage.route, providers[0], is_master=caller.is_master)
        await _streamed_through(exchange, passage, providers[0])
        return
    body = await exchange.client.body()
    model = calls.model_named(body)
    provider = passthrough.choose(providers, model)
    passthrough.permit(passage.route, provider, is_master=caller.is_master)
    served = model if model is not None and model in provider.models else ""
    exchange.record.model = served
    going = outgoing(exchange, provider, passage.path, body)
    with Watched(exchange.client):
        await deliver(exchange, going, Delivery(served, passage.path, exchange.dialect))


async def _streamed_through(
    exchange: Exchange, passage: passthrough.Passage, provider: ProviderEntry
) -> None:
    """The body goes on piece by piece as it comes in, with the length it was announced with."""
    length = exchange.client.check_length()
    with Watched(exchange.client, uploading=True) as watched:
        going = outgoing(exchange, provider, passage.path, b"")
        delivery = Delivery("", passage.path, exchange.dialect)
        await deliver(exchange, going.streaming(watched.pieces(), length), delivery)
