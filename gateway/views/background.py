"""Responses that are generated in the background, and their streams."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from gateway import dialects
from gateway.client import Client, Limits, Message, Send
from gateway.dialects import Dialect
from gateway.errors import GatewayError
from gateway.records import Record
from gateway.relay import STREAM_HEADERS
from gateway.runs import KEEP_ALIVE, Run, Work, told_after
from gateway.state.values import Copy
from gateway.translation.responses.frame import Frame
from gateway.views.exchange import Exchange, deliver_any_way, routed

if TYPE_CHECKING:
    from gateway.views.responses import Creation

EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
BENEATH = " (background)"
"""Ends the path in the log line of a run, which has one beside that of the client's call."""


async def create(exchange: Exchange, creation: Creation) -> None:
    """Answer with the queued response, or the stream of what becomes of it; it runs on either way.

    Raises what can be known before it runs: a call that cannot be routed or put, NotStored,
    TooManyInBackground.
    """
    id = creation.stamp.new_id("resp")
    creation = creation.in_background(id)
    way = routed(exchange, creation.call.selector)
    creation.put(way)
    queued = _queued(creation, way.target.model)
    await exchange.runs.start(queued, _work(exchange, creation))
    if creation.ask.stream:
        await tell(exchange, creation.owner, id, -1)
    else:
        await exchange.client.answer_json(200, queued.body)


def _queued(creation: Creation, model: str) -> Copy:
    frame = Frame.of(creation.members, model, creation.stamp, creation.echo)
    return Copy(
        creation.owner,
        frame.id,
        bytes(frame.response("queued", [])),
        "queued",
        creation.items,
        previous=creation.ask.previous_response_id,
        conversation=creation.ask.conversation,
        background=True,
    )


def _work(exchange: Exchange, creation: Creation) -> Work:
    """The call as one whose client is a run, with a log line of its own."""
    asked = exchange.record
    request, path = exchange.client.request, asked.path + BENEATH

    async def work(send: Send, run: Run) -> None:
        record = Record(request.method, request.id, path, asked.key)
        client = Client(request, _nothing_more, send, Limits(0, 0))
        beneath = replace(exchange, client=client, record=record)
        try:
            await deliver_any_way(beneath, creation.call, creation.put)
        except GatewayError as error:
            record.reason = error.reason
            raise
        except asyncio.CancelledError:
            record.reason = run.ended.value if run.ended else ""
            raise
        except Exception:
            record.reason = "internal error"
            raise
        finally:
            record.status, record.sent_bytes = client.status, client.sent_bytes
            record.write()

    return work


def _nothing_more() -> Awaitable[Message]:
    """A run's `receive`: it has no body left, and never leaves."""
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    return never


async def tell(exchange: Exchange, owner: UUID, id: str, after: int) -> None:
    """The stream of a background response from event `after` on, to its end.

    Raises StateUnavailable, once the client has been told of it by an event.
    """
    client = exchange.client
    await client.start(200, [EVENT_STREAM, *STREAM_HEADERS])
    try:
        async for events in told_after(exchange.store, exchange.runs, owner, id, after):
            after = events[-1][0] if events else after
            await client.write(b"".join(event for _, event in events) or KEEP_ALIVE, more=True)
    except GatewayError as error:
        await client.write(dialects.event(error, Dialect.RESPONSES, after + 1), more=False)
        raise
    await client.write(b"", more=False)
