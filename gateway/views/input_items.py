"""The input that a response was created with."""

from __future__ import annotations

from gateway import paging
from gateway.client import Watched
from gateway.views.exchange import Exchange, answer_page, authenticated


async def list_input_items(exchange: Exchange) -> None:
    """The items of its own request, not those that it goes on from."""
    owner = authenticated(exchange).key.owner
    page = paging.asked(exchange.client.request.query, paging.INPUT_ITEMS)
    with Watched(exchange.client):
        found = await exchange.store.input_items(
            owner,
            exchange.name("id"),
            limit=page.limit,
            order=page.order,
            after=page.after,
            before=page.before,
        )
        await answer_page(exchange, found)
