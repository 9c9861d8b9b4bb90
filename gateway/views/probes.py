"""What load balancers and monitors ask of the process."""

from __future__ import annotations

from gateway.errors import NotReady, Stopping
from gateway.views.exchange import Exchange


async def health(exchange: Exchange) -> None:
    """The process lives; nothing else is looked at."""
    await exchange.client.answer_json(200, b'{"status":"ok"}')


async def ready(exchange: Exchange) -> None:
    """There is something to serve, and this process goes on serving."""
    if exchange.is_stopping:
        raise Stopping("Aurora is being stopped.")
    if not exchange.snapshot.cards:
        raise NotReady("No model is known yet: no provider is enabled, or none has answered.")
    await exchange.client.answer_json(200, b'{"status":"ready"}')
