"""What a server says instead of an answer: whether another is asked, and what the client is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from gateway import refusals, sse
from gateway.client import Client
from gateway.refusals import Refused
from gateway.relay.delivery import Delivery, Pairs, without_length
from gateway.relay.feeding import Feeding
from gateway.upstream import Answer

KEPT_OF_A_REFUSAL = frozenset({b"retry-after", b"x-aurora-provider"})
"""Headers that reach the client also where Aurora words the error itself."""


async def refuse(answer: Answer, client: Client, crossing: Pairs, delivery: Delivery) -> None:
    """Hand an error status on in the server's words, if the client can read them.

    Raises Refused where another server may be asked instead, Lacks where the same one may be asked
    for less, else the error that Aurora words.
    """
    body = await _until_end(answer.pieces(), answer.waits.refusal_seconds)
    error = refusals.reworded(
        answer.status,
        body,
        provider=answer.provider.name,
        model=delivery.model,
        path=delivery.path,
        dialect=delivery.dialect,
    )
    if error is None and client.is_held:
        error = refusals.in_its_words(answer.status, body)
    if error is not None:
        error.keeping([pair for pair in crossing if pair[0] in KEPT_OF_A_REFUSAL])
    lack = refusals.lack(answer.status, body) if delivery.uses else None
    if lack is not None and lack.ability in delivery.uses:
        raise lack
    if why := refusals.why_another(answer.status, body):
        raise Refused(why, answer.status, without_length(crossing), body, error)
    if error is not None:
        raise error
    await client.answer(answer.status, without_length(crossing), body)


async def hand_on(refused: Refused, client: Client) -> None:
    """Tell the client what a server said, where nobody else is left to ask. Raises its `error`,
    or one in the server's words for a client that already has the head of a stream."""
    if refused.error is not None:
        raise refused.error
    if not client.is_held:
        await client.answer(refused.status, refused.headers, refused.body)
    elif refused.status >= 400:
        raise refusals.in_its_words(refused.status, refused.body)
    else:
        await client.start(refused.status, refused.headers)
        await client.write(refused.body.removeprefix(sse.BYTE_ORDER_MARK), more=False)


async def _until_end(pieces: AsyncIterator[bytes], seconds: float) -> bytes:
    """The body of an error, as far as it has come in time; nothing of one too long to be one."""
    body = bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            async for piece in pieces:
                body += piece
                if len(body) > refusals.MOST_BYTES:
                    return b""
    return bytes(body)


async def refused_stream(
    answer: Answer,
    pieces: AsyncIterator[bytes],
    crossing: Pairs,
    body: bytes,
    feeding: Feeding,
) -> Refused:
    """A stream that fails with its first event, of which `feeding` has had `body`. Where nobody
    else is asked, it goes out as it came, if the client speaks the server's dialect."""
    told = feeding.events
    if told.error is None:
        rest = await _until_end(pieces, answer.waits.refusal_seconds)
        await feeding.take_in(rest)
        body += rest
    events = sse.Parser().feed(body)
    why = refusals.why_of_event(events[0].data) if events else refusals.FAILING
    return Refused(why, answer.status, without_length(crossing), body, told.error)
