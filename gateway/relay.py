"""Upstream bytes -> client bytes, untouched, each as it comes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from gateway import errors, headers, refusals, sse
from gateway.client import Client
from gateway.errors import UpstreamError
from gateway.upstream import Answer

KEPT_OF_A_REFUSAL = frozenset({b"retry-after", b"x-aurora-provider"})
STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""Keep proxies between Aurora and the client from holding a stream back."""


async def relay(answer: Answer, client: Client, *, model: str, path: str) -> None:
    """Hand the answer on. Nothing goes out before its first piece is in, so that a server which
    fails before that is still answered for with a status.

    Raises GatewayError while the client has seen nothing; later a stream is ended by one error
    event, and any other answer by ConnectionAbortedError, which cuts the connection.
    """
    crossing = headers.to_client(answer.headers)
    crossing.append((b"x-aurora-provider", answer.provider.name.encode()))
    if not 200 <= answer.status < 300:
        await _refuse(answer, client, crossing, model=model, path=path)
        return
    pieces = answer.pieces()
    held = await anext(pieces, b"")
    content_type = headers.first(crossing, b"content-type") or b""
    if sse.is_stream(content_type):
        await client.start(answer.status, _stream_headers(crossing))
        await _hand_on_events(held, pieces, client)
    else:
        await client.start(answer.status, crossing)
        if _is_whole(held, crossing):
            await client.write(held, more=False)
        else:
            await _hand_on(held, pieces, client)


def _is_whole(held: bytes, crossing: list[tuple[bytes, bytes]]) -> bool:
    """Whether the first piece is all there is, as with most answers: then one write does."""
    return headers.first(crossing, b"content-length") == str(len(held)).encode()


def _stream_headers(crossing: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Without a length, so that a stream which breaks off can be ended by an event more."""
    present = {name for name, _ in crossing}
    kept = [pair for pair in crossing if pair[0] != b"content-length"]
    return kept + [pair for pair in STREAM_HEADERS if pair[0] not in present]


async def _hand_on(held: bytes, pieces: AsyncIterator[bytes], client: Client) -> None:
    try:
        await client.write(held, more=True)
        async for piece in pieces:
            await client.write(piece, more=True)
    except UpstreamError as error:
        raise ConnectionAbortedError(str(error)) from error
    await client.write(b"", more=False)


async def _hand_on_events(held: bytes, pieces: AsyncIterator[bytes], client: Client) -> None:
    tail = sse.Tail()
    tail.feed(held)
    await client.write(held, more=True)
    try:
        async for piece in pieces:
            tail.feed(piece)
            await client.write(piece, more=True)
    except UpstreamError as error:
        await client.write(tail.closing() + sse.event(errors.shape(error)), more=False)
        raise
    await client.write(b"", more=False)


async def _refuse(
    answer: Answer,
    client: Client,
    crossing: list[tuple[bytes, bytes]],
    *,
    model: str,
    path: str,
) -> None:
    body = await _short(answer)
    error = refusals.reworded(
        answer.status, body, provider=answer.provider.name, model=model, path=path
    )
    if error is not None:
        kept = [pair for pair in crossing if pair[0] in KEPT_OF_A_REFUSAL]
        raise error.keeping(kept)
    worded = [pair for pair in crossing if pair[0] != b"content-length"]
    await client.answer(answer.status, worded, body)


async def _short(answer: Answer) -> bytes:
    """The body of an error, as far as it has come in time; nothing of one too long to be one."""
    body = bytearray()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(refusals.MOST_SECONDS):
            async for piece in answer.pieces():
                body += piece
                if len(body) > refusals.MOST_BYTES:
                    return b""
    return bytes(body)
