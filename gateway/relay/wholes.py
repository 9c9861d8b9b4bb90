"""Answers that are no streams: piece by piece as they come, or translated as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway import headers, refusals, renaming
from gateway.client import Client
from gateway.endpoints import CHAT, COMPLETIONS
from gateway.errors import UpstreamError, UpstreamUnreadable
from gateway.refusals import Refused
from gateway.relay.delivery import Delivery, Pairs, Watcher, without_length
from gateway.upstream import Answer

MOST_TRANSLATED_BYTES = 64 * 2**20
"""A longer answer cannot be translated or renamed: the whole of it must be read for that."""
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
    delivery.watcher.feed(held)
    if is_whole:
        delivery.watcher.end()
    if delivery.watcher.holds:
        await delivery.watcher.release()
    await client.start(answer.status, crossing)
    if is_whole:
        await client.write(held, more=False)
    else:
        await _hand_on(held, pieces, client, delivery.watcher)


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


def _is_whole(held: bytes, crossing: Pairs) -> bool:
    """Whether the first piece is all there is, as with most answers: then one write does."""
    return headers.first(crossing, b"content-length") == str(len(held)).encode()


async def _hand_on(
    held: bytes, pieces: AsyncIterator[bytes], client: Client, watcher: Watcher
) -> None:
    try:
        await client.write(held, more=True)
        async for piece in pieces:
            watcher.feed(piece)
            if watcher.holds:
                await watcher.release()
            await client.write(piece, more=True)
    except UpstreamError as error:
        raise ConnectionAbortedError(str(error)) from error
    watcher.end()
    if watcher.holds:
        await watcher.release()
    await client.write(b"", more=False)


async def translated(
    answer: Answer,
    client: Client,
    crossing: Pairs,
    delivery: Delivery,
) -> None:
    """Read the whole, and hand it on as the delivery's translation and model have it."""
    said = body = await read_whole(answer, MOST_TRANSLATED_BYTES)
    if delivery.translation is not None:
        body = delivery.translation.whole(said)
    if delivery.said_model:
        body = renaming.whole(body, delivery.said_model)
    if refusals.was_aborted(said):
        raise Refused(refusals.STOPPED, answer.status, without_length(crossing), body)
    delivery.begun()
    delivery.watcher.begin(streamed=False)
    delivery.watcher.feed(body)
    delivery.watcher.end()
    if delivery.watcher.holds:
        await delivery.watcher.release()
    await client.answer(answer.status, without_length(crossing), body)


async def read_whole(answer: Answer, most_bytes: int) -> bytes:
    """The body. Raises UpstreamUnreadable where it is longer than `most_bytes`."""
    body = bytearray()
    async for piece in answer.pieces():
        body += piece
        if len(body) > most_bytes:
            raise UpstreamUnreadable(
                f"The provider {answer.provider.name!r} answered with more than {most_bytes} bytes."
            )
    return bytes(body)
