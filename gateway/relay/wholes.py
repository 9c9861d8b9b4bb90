"""Answers that are no streams: piece by piece as they come, or translated as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from gateway import headers, refusals, renaming
from gateway.client import Client
from gateway.endpoints import CHAT, COMPLETIONS
from gateway.errors import UpstreamError, UpstreamUnreadable
from gateway.refusals import Refused
from gateway.relay.delivery import Delivery, Pairs, without_length
from gateway.relay.feeding import Watching
from gateway.turns import Turns
from gateway.upstream import Answer

MOST_TRANSLATED_BYTES = 64 * 2**20
"""A longer answer cannot be translated or renamed: the whole of it must be read for that."""
ANSWER_COPIES = 2
"""What a whole answer takes: as it came, and as it goes out."""
MOST_HELD_BYTES = 2**20
"""Of an answer that goes out as it comes."""
SENTENCES = frozenset({CHAT, COMPLETIONS})
"""Paths whose plain answers say by their `finish_reason` whether their server was stopped."""


async def as_it_comes(answer: Answer, client: Client, crossing: Pairs, delivery: Delivery) -> None:
    """Hand the answer on, piece by piece. Raises Refused where its server was stopped, before the
    client has seen anything; ConnectionAbortedError where it breaks off."""
    pieces = answer.pieces()
    held = await anext(pieces, b"")
    if delivery.path in SENTENCES:
        held = await _read_on(held, pieces, crossing)
    is_whole = _is_whole(held, crossing)
    if is_whole and delivery.path in SENTENCES and refusals.was_aborted(held):
        raise Refused(refusals.STOPPED, answer.status, without_length(crossing), held)
    delivery.begun()
    delivery.watcher.begin(streamed=False)
    watching = Watching(delivery.watcher, delivery.offload)
    told = await watching.feed(held)
    if is_whole:
        await watching.end()
        await client.start(answer.status, crossing if told is held else _resized(crossing, told))
        await client.write(told, more=False)
    else:
        await client.start(answer.status, crossing)
        await _hand_on(held, pieces, client, watching)


async def _read_on(held: bytes, pieces: AsyncIterator[bytes], crossing: Pairs) -> bytes:
    """The rest behind `held`, of an answer that is said to be no longer than MOST_HELD_BYTES: only
    its end tells whether it was cut short, and nobody can read JSON before that."""
    length = headers.first(crossing, b"content-length") or b""
    if not length.isdigit() or int(length) > MOST_HELD_BYTES:
        return held
    parts = [held]
    async for piece in pieces:
        parts.append(piece)
    return b"".join(parts)


def _resized(crossing: Pairs, told: bytes) -> Pairs:
    return [*without_length(crossing), (b"content-length", str(len(told)).encode())]


def _is_whole(held: bytes, crossing: Pairs) -> bool:
    """Whether the first piece is all there is, as with most answers: then one write does."""
    return headers.first(crossing, b"content-length") == str(len(held)).encode()


async def _hand_on(
    held: bytes, pieces: AsyncIterator[bytes], client: Client, watching: Watching
) -> None:
    turns = Turns()
    try:
        await client.write(held, more=True)
        async for piece in pieces:
            turns.begin()
            await watching.feed(piece)
            await client.write(piece, more=True)
            if turns.are_over():
                await asyncio.sleep(0)
    except UpstreamError as error:
        raise ConnectionAbortedError(str(error)) from error
    await watching.end()
    await client.write(b"", more=False)


async def translated(
    answer: Answer,
    client: Client,
    crossing: Pairs,
    delivery: Delivery,
) -> None:
    """Read the whole, and hand it on as the delivery's translation and model have it."""
    said = await read_whole(answer, MOST_TRANSLATED_BYTES, client.charge.hold_answer)
    body, was_aborted = await delivery.offload.run(len(said), _retold, said, delivery)
    if was_aborted:
        raise Refused(refusals.STOPPED, answer.status, without_length(crossing), body)
    delivery.begun()
    delivery.watcher.begin(streamed=False)
    watching = Watching(delivery.watcher, delivery.offload)
    body = await watching.feed(body)
    await watching.end()
    await client.answer(answer.status, without_length(crossing), body)


def _retold(said: bytes, delivery: Delivery) -> tuple[bytes, bool]:
    """The answer for the client, and whether its server was stopped before it was whole."""
    body = said
    if delivery.translation is not None:
        body = delivery.translation.whole(said)
    if delivery.said_model:
        body = renaming.whole(body, delivery.said_model)
    return body, refusals.was_aborted(said)


async def read_whole(answer: Answer, most_bytes: int, hold: Callable[[int], None]) -> bytes:
    """The body. Raises UpstreamUnreadable where it is longer than `most_bytes`, and what `hold` raises,
    which is told how much there is."""
    body = bytearray()
    async for piece in answer.pieces():
        body += piece
        hold(len(body) * ANSWER_COPIES)
        if len(body) > most_bytes:
            raise UpstreamUnreadable(
                f"The provider {answer.provider.name!r} answered with more than {most_bytes} bytes."
            )
    return bytes(body)
