"""Responses that are generated in the background, and their streams."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID

from gateway import dialects
from gateway.client import Client, Limits, Message, Send
from gateway.dialects import Dialect
from gateway.endpoints import RESPONSES
from gateway.errors import GatewayError
from gateway.records import Record
from gateway.relay import EVENT_STREAM, STREAM_HEADERS
from gateway.routing import Way
from gateway.runs import KEEP_ALIVE, Run, Work, told_after
from gateway.state import endings
from gateway.state.values import Copy
from gateway.translation.responses.frame import Frame
from gateway.translation.responses.request import kept_tools
from gateway.views.delivering import Asked, deliver_asked, first_way
from gateway.views.exchange import Exchange

if TYPE_CHECKING:
    from gateway.views.responses import Creation

BENEATH = " (background)"
"""Ends the path in the log line of the generating, which is another than that of the client's call."""
NOBODY_WAITS = Limits(0, 0, head_seconds=math.inf)


@dataclass(frozen=True, slots=True)
class Begun:
    """A response that runs now: as it is queued, and how its client is answered."""

    queued: Copy
    is_streamed: bool


async def begin(exchange: Exchange, creation: Creation) -> Begun:
    """From now on it runs, whether its client stays or not.

    Raises what can be known before it runs: a call that cannot be routed or put, NotStored,
    TooManyInBackground.
    """
    id = creation.stamp.new_id("resp")
    creation = creation.in_background(id)
    way, said_model = first_way(exchange, creation.call.selector)
    exchange.record.model = way.target.model
    offload, size = exchange.offload, creation.size_bytes
    await offload.run(size, creation.put, way)
    queued = await offload.run(size, _queued, creation, way, said_model)
    asked = _asked(creation)
    await exchange.runs.start(queued, _work(exchange, asked), _size_bytes(creation))
    return Begun(queued, creation.ask.stream)


def _asked(creation: Creation) -> Asked:
    return Asked(
        creation.caller,
        creation.call,
        creation.put,
        prompt=creation.members,
        size_bytes=creation.size_bytes,
    )


async def answer(exchange: Exchange, begun: Begun) -> None:
    """The queued response, or the stream of what becomes of it."""
    queued = begun.queued
    if begun.is_streamed:
        await tell(exchange, queued.owner, queued.id, -1)
    else:
        await exchange.client.answer_json(200, queued.body)


def _size_bytes(creation: Creation) -> int:
    return sum(memoryview(raw).nbytes for raw in creation.members.values())


def _queued(creation: Creation, way: Way, model: str) -> Copy:
    """As it is told before any server has: `model` is what it says as its model."""
    tools = None if way.path == RESPONSES else kept_tools(creation.members)
    frame = Frame.of(creation.members, model, creation.stamp, creation.echo, tools=tools)
    return Copy(
        creation.origin.owner,
        frame.id,
        bytes(frame.response("queued", [])),
        "queued",
        creation.origin.items,
        previous=creation.origin.previous,
        conversation=creation.origin.conversation,
        background=True,
    )


def _work(exchange: Exchange, asked: Asked) -> Work:
    """The call as one whose client is a run, with a log line of its own."""
    request, of_the_call = exchange.client.request, exchange.record
    path = of_the_call.path + BENEATH
    limits = replace(NOBODY_WAITS, memory=exchange.client.memory)

    async def work(send: Send, run: Run) -> None:
        record = Record(request.method, request.id, request.client, path, of_the_call.key)
        client = Client(request, _nothing_more, send, limits)
        check = exchange.standing.check_of_owner(asked.caller.key.owner)
        beneath = replace(exchange, client=client, record=record, check_key=check)
        try:
            await deliver_asked(beneath, asked)
        except GatewayError as error:
            record.reason = error.reason
            raise
        except asyncio.CancelledError:
            record.reason = run.ended.value if run.ended else ""
            raise
        except Exception:  # the log line must not say that all went well; `Runs` tells the rest
            record.reason = "internal error"
            raise
        finally:
            client.end_waiting()
            client.charge.free()
            record.status, record.sent_bytes = client.status, client.sent_bytes
            record.write()

    return work


def _nothing_more() -> Awaitable[Message]:
    """A run's `receive`: it has no body left, and never leaves."""
    never: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    return never


async def tell(exchange: Exchange, owner: UUID, id: str, after: int) -> None:
    """The stream of a background response after event `after` (-1: from the first), to its end.

    Raises StateUnavailable, and Unauthorized where the reader's key ends before the stream does,
    once the client has been told of it by an event.
    """
    client, is_final = exchange.client, False

    def broken(error: GatewayError) -> bytes:
        return dialects.event(error, Dialect.RESPONSES, after + 1)

    client.broken = broken
    await client.start(200, [EVENT_STREAM, *STREAM_HEADERS])
    try:
        told = told_after(
            exchange.store, exchange.runs, owner, id, after, check_key=exchange.check_key
        )
        async for events in told:
            after = events[-1][0] if events else after
            is_final = bool(events) and endings.is_final(events[-1][1])
            await client.write(b"".join(event for _, event in events) or KEEP_ALIVE, more=True)
        if not is_final:  # it was cancelled, perhaps since the key is over
            exchange.check_key()
    except GatewayError as error:
        await client.write(broken(error), more=False)
        raise
    await client.write(b"", more=False)
