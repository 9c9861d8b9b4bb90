"""Responses that are kept, by their id: shown, deleted, cancelled. No server is asked."""

from __future__ import annotations

import asyncio
from uuid import UUID

import msgspec

from gateway import paging
from gateway.client import Watched
from gateway.errors import InvalidRequest
from gateway.runs import Ended
from gateway.state.values import Kept
from gateway.views import background
from gateway.views.exchange import Exchange, authenticated

MOST_DIGITS = 18
FLAGS = {"true": True, "1": True, "false": False, "0": False}


async def show(exchange: Exchange) -> None:
    owner, id = authenticated(exchange).key.owner, exchange.name("id")
    after = _resumed_after(exchange.client.request.query)
    with Watched(exchange.client):
        kept = await exchange.store.response(owner, id)
        if not kept.is_final:
            exchange.store.start()  # it ends those that nobody generates any more
        if after is None or exchange.client.request.method == "HEAD":
            await exchange.client.answer_json(200, kept.body)
        elif kept.background:
            await background.tell(exchange, owner, id, after)
        else:
            raise InvalidRequest(
                "Only a response that was created with `background` true can be streamed again.",
                param="stream",
            )


def _resumed_after(query: bytes) -> int | None:
    """The event after which a stream is wanted, -1 for all of them; None for no stream."""
    streams, numbers = paging.every(query, "stream"), paging.every(query, "starting_after")
    stream = FLAGS.get(streams[-1].lower()) if streams else False
    if stream is None:
        raise InvalidRequest("`stream` must be true or false.", param="stream")
    if not numbers:
        return -1 if stream else None
    number = numbers[-1]
    if not (number.isascii() and number.isdigit() and len(number) <= MOST_DIGITS):
        raise InvalidRequest("`starting_after` must be an integer of 0 or more.",
                             param="starting_after")  # fmt: skip
    if not stream:
        raise InvalidRequest("`starting_after` needs `stream=true`.", param="starting_after")
    return int(number)


async def delete(exchange: Exchange) -> None:
    """One that is being generated is ended."""
    owner, id = authenticated(exchange).key.owner, exchange.name("id")
    with Watched(exchange.client):
        await exchange.store.delete(owner, id)
        _end(exchange, owner, id, Ended.DELETED)
        deleted = {"id": id, "object": "response", "deleted": True}
        await exchange.client.answer_json(200, msgspec.json.encode(deleted))


async def cancel(exchange: Exchange) -> None:
    """Answers the response as it stands then. One that had ended before stays as it is."""
    owner, id = authenticated(exchange).key.owner, exchange.name("id")
    with Watched(exchange.client):
        kept = await exchange.store.response(owner, id)
        if not kept.background:
            raise InvalidRequest("Cannot cancel a synchronous response.", param="response_id")
        if not kept.is_final:
            kept = await exchange.store.ask_to_cancel(owner, id)
            _end(exchange, owner, id, Ended.CANCELLED)
            kept = await _settled(exchange, owner, kept)
        await exchange.client.answer_json(200, kept.body)


def _end(exchange: Exchange, owner: UUID, id: str, why: Ended) -> None:
    run = exchange.runs.find(owner, id)
    if run is not None:
        exchange.runs.end(run, why)


async def _settled(exchange: Exchange, owner: UUID, kept: Kept) -> Kept:
    """As it stands once whoever generates it has ended it, or `Pace.cancel_seconds` are over."""
    clock, pace = asyncio.get_running_loop().time, exchange.runs.pace
    end = clock() + pace.cancel_seconds
    while not kept.is_final and clock() < end:
        await asyncio.sleep(pace.cancel_poll_seconds)
        kept = await exchange.store.response(owner, kept.id)
    return kept
