"""Upstream bytes -> client bytes, each as it comes: untouched, or translated on the way."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway import dialects, headers, refusals, sse
from gateway.client import Client
from gateway.dialects import Dialect
from gateway.errors import GatewayError, UpstreamBroke, UpstreamError
from gateway.translation import EventStream, Translation
from gateway.translation.messages.native import NativeStream
from gateway.translation.responses.numbered import Numbered
from gateway.upstream import Answer

KEPT_OF_A_REFUSAL = frozenset({b"retry-after", b"x-aurora-provider"})
STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""Keep proxies between Aurora and the client from holding a stream back."""
MOST_TRANSLATED_BYTES = 64 * 2**20
"""A longer answer cannot be translated, because the whole of it must be read for that."""
READ_ON_SECONDS = 1.0
Pairs = list[tuple[bytes, bytes]]


class Watcher(Protocol):
    """Sees what goes to the client, just before it goes. It must be quick and never fail."""

    def begin(self, *, streamed: bool) -> None: ...

    def feed(self, piece: bytes) -> None: ...

    def end(self) -> None:
        """The answer is whole: what was fed last may still have to go out, nothing follows it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one answer is handed on: as what the client speaks, and past whom."""

    model: str
    path: str
    """The server's route, for what is said of its errors."""
    dialect: Dialect = Dialect.OPENAI
    translation: Translation | None = None
    """None: the answer goes out as it comes."""
    watcher: Watcher | None = None
    added: Sequence[tuple[bytes, bytes]] = ()
    """What Aurora says of the call in headers of its own."""


class Untouched:
    """A stream that goes out as it comes. Only one that breaks off is ended by an event more."""

    __slots__ = ("_dialect", "_tail")

    ping = b""
    error: GatewayError | None = None
    is_over = False

    def __init__(self, dialect: Dialect) -> None:
        self._dialect, self._tail = dialect, sse.Tail()

    def feed(self, piece: bytes) -> bytes:
        self._tail.feed(piece)
        return piece

    def end(self) -> bytes:
        return b""

    def broken(self, error: GatewayError) -> bytes:
        return self._tail.closing() + dialects.event(error, self._dialect)


class Unwatched:
    """Nobody looks."""

    def begin(self, *, streamed: bool) -> None:
        pass

    def feed(self, piece: bytes) -> None:
        pass

    def end(self) -> None:
        pass


async def relay(answer: Answer, client: Client, delivery: Delivery) -> None:
    """Hand the answer on. Nothing goes out before its first piece is in, so that a server which
    fails before that is still answered for with a status.

    Raises GatewayError while the client has seen nothing (MissingRoute among them: the call may go
    another way); later a stream is ended by one error event, and any other answer by
    ConnectionAbortedError, which cuts the connection.
    """
    crossing = headers.to_client(answer.headers)
    crossing.append((b"x-aurora-provider", answer.provider.name.encode()))
    crossing += dialects.headers(delivery.dialect, client.request.id)
    crossing += delivery.added
    if not 200 <= answer.status < 300:
        await _refuse(answer, client, crossing, delivery)
        return
    watcher = delivery.watcher or Unwatched()
    if sse.is_stream(headers.first(crossing, b"content-type") or b""):
        await _stream(answer, client, crossing, delivery, watcher)
    elif delivery.translation is not None:
        await _translated(answer, client, crossing, delivery.translation, watcher)
    else:
        await _whole(answer, client, crossing, watcher)


async def _whole(answer: Answer, client: Client, crossing: Pairs, watcher: Watcher) -> None:
    pieces = answer.pieces()
    held = await anext(pieces, b"")
    watcher.begin(streamed=False)
    watcher.feed(held)
    await client.start(answer.status, crossing)
    if _is_whole(held, crossing):
        watcher.end()
        await client.write(held, more=False)
    else:
        await _hand_on(held, pieces, client, watcher)


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
            await client.write(piece, more=True)
    except UpstreamError as error:
        raise ConnectionAbortedError(str(error)) from error
    watcher.end()
    await client.write(b"", more=False)


async def _translated(
    answer: Answer, client: Client, crossing: Pairs, translation: Translation, watcher: Watcher
) -> None:
    body = translation.whole(await read_whole(answer, MOST_TRANSLATED_BYTES))
    watcher.begin(streamed=False)
    watcher.feed(body)
    watcher.end()
    await client.answer(answer.status, _without_length(crossing), body)


async def read_whole(answer: Answer, most_bytes: int) -> bytes:
    """The body. Raises UpstreamBroke where it is longer than `most_bytes`."""
    body = bytearray()
    async for piece in answer.pieces():
        body += piece
        if len(body) > most_bytes:
            raise UpstreamBroke(
                f"The provider {answer.provider.name!r} answered with more than {most_bytes} bytes."
            )
    return bytes(body)


async def _stream(
    answer: Answer, client: Client, crossing: Pairs, delivery: Delivery, watcher: Watcher
) -> None:
    events = _events(delivery)
    pieces = answer.pieces()
    held = events.feed(await anext(pieces, b""))
    if events.error is not None:
        raise events.error
    watcher.begin(streamed=True)
    await client.start(answer.status, _stream_headers(crossing))
    try:
        async with _pinging(client, events.ping):
            await _hand_on_events(held, pieces, events, client, watcher)
    except UpstreamError as error:
        last = events.broken(error)
        watcher.feed(last)
        await client.write(last, more=False)
        raise
    last = events.end()
    watcher.feed(last)
    watcher.end()
    await client.write(last, more=False)
    if events.error is not None:
        raise events.error
    await _read_on(pieces)


async def _read_on(pieces: AsyncIterator[bytes]) -> None:
    """To the end of a stream that has said all, so that its connection can be kept."""
    with contextlib.suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(READ_ON_SECONDS):
            async for _ in pieces:
                pass


def _events(delivery: Delivery) -> EventStream:
    if delivery.translation is not None:
        return delivery.translation.stream()
    if delivery.dialect is Dialect.ANTHROPIC:
        return NativeStream()
    if delivery.dialect is Dialect.RESPONSES:
        return Numbered()
    return Untouched(delivery.dialect)


@contextlib.asynccontextmanager
async def _pinging(client: Client, ping: bytes) -> AsyncIterator[None]:
    """Within, `ping` goes out whenever nothing else did for `client.ping_seconds`, or up to twice that."""
    if not ping:
        yield
        return
    pinger = asyncio.create_task(_ping(client, ping))
    try:
        yield
    finally:
        pinger.cancel()


async def _ping(client: Client, ping: bytes) -> None:
    while True:
        sent = client.sent_bytes
        await asyncio.sleep(client.ping_seconds)
        if client.sent_bytes == sent:
            await client.write(ping, more=True)


async def _hand_on_events(
    held: bytes,
    pieces: AsyncIterator[bytes],
    events: EventStream,
    client: Client,
    watcher: Watcher,
) -> None:
    if held:
        watcher.feed(held)
        await client.write(held, more=True)
    async for piece in pieces:
        told = events.feed(piece)
        if told:
            watcher.feed(told)
            await client.write(told, more=True)
        if events.is_over:
            return  # what the server still has to say is for nobody


def _stream_headers(crossing: Pairs) -> Pairs:
    """Without a length, so that a stream which breaks off can be ended by an event more."""
    present = {name for name, _ in crossing}
    kept = _without_length(crossing)
    return kept + [pair for pair in STREAM_HEADERS if pair[0] not in present]


def _without_length(crossing: Pairs) -> Pairs:
    return [pair for pair in crossing if pair[0] != b"content-length"]


async def _refuse(answer: Answer, client: Client, crossing: Pairs, delivery: Delivery) -> None:
    body = await _short(answer)
    error = refusals.reworded(
        answer.status,
        body,
        provider=answer.provider.name,
        model=delivery.model,
        path=delivery.path,
        dialect=delivery.dialect,
    )
    if error is not None:
        kept = [pair for pair in crossing if pair[0] in KEPT_OF_A_REFUSAL]
        raise error.keeping(kept)
    await client.answer(answer.status, _without_length(crossing), body)


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
