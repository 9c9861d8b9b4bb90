"""Streams: untouched, translated, or told by several servers; each ends as its dialect has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial

from gateway import dialects, headers, renaming, sse
from gateway.client import Client
from gateway.dialects import Dialect
from gateway.errors import (
    BodyTooLarge,
    GatewayError,
    MemoryFull,
    UpstreamBroke,
    UpstreamError,
    UpstreamUnreadable,
)
from gateway.relay.delivery import Delivery, Interrupted, Pairs, Watcher, without_length
from gateway.relay.feeding import Feeding
from gateway.relay.refusing import refused_stream
from gateway.resuming import Sentence
from gateway.translation import EventStream
from gateway.translation.messages.native import NativeStream
from gateway.translation.responses.numbered import Numbered
from gateway.upstream import Answer

EVENT_STREAM = (b"content-type", b"text/event-stream; charset=utf-8")
STREAM_HEADERS = ((b"cache-control", b"no-cache"), (b"x-accel-buffering", b"no"))
"""Keep proxies between Aurora and the client from holding a stream back."""


class Untouched:
    """A stream that goes out as it comes. Only one that breaks off is ended by an event more."""

    __slots__ = ("_dialect", "_tail")

    ping = b""
    error: GatewayError | None = None
    is_over = reads_events = False
    held_bytes = 0

    def __init__(self, dialect: Dialect) -> None:
        self._dialect, self._tail = dialect, sse.Tail()

    def feed(self, piece: bytes) -> bytes:
        self._tail.feed(piece)
        return piece

    def end(self) -> bytes:
        return b""

    def broken(self, error: GatewayError) -> bytes:
        return self._tail.closing() + dialects.event(error, self._dialect)


async def stream(answer: Answer, client: Client, crossing: Pairs, delivery: Delivery) -> None:
    """Hand the stream on, and end it as its dialect has it. Raises Refused where it begins with an
    error, before the client has seen an event; later Interrupted for a sentence that breaks off,
    and what broke any other off, once the client has been told."""
    events, pieces = _events(delivery), answer.pieces()
    feeding = Feeding(events, delivery.watcher, delivery.offload, client.charge.hold_answer)
    head = _stream_headers(crossing)
    with client.waiting.for_event(head):
        beginning = await _until_event(pieces, events, client)
        told = await feeding.take_in(*beginning)
        begun = b"".join(beginning)
        if events.error is not None or sse.begins_with_error(begun):
            raise await refused_stream(answer, pieces, crossing, begun, feeding)
        delivery.begun()
        delivery.watcher.begin(streamed=True)
        await client.start(answer.status, head)
        told = [*client.waiting.comments(), *told]
    await _told(told, pieces, feeding, client, delivery)
    await _read_on(pieces, answer.waits.drain_seconds)


async def _until_event(
    pieces: AsyncIterator[bytes], events: EventStream, client: Client
) -> list[bytes]:
    """The pieces with which the first event begins, up to where they tell whether it is an error.
    Comments before it, in whole lines, have been passed on."""
    beginning: list[bytes] = []
    async for piece in pieces:
        beginning.append(piece)
        begun = b"".join(beginning)
        size = sse.comments_ahead(begun)
        if sse.begins_with_error(begun[size:]) is not None:
            break
        if size:
            comments, rest = _within(begun[:size], client), begun[size:]
            await client.waiting.pass_on(events.feed(comments))
            beginning = [rest] if rest else []
    if client.is_held and beginning:
        beginning[0] = _within(beginning[0], client)
    return beginning


def _within(beginning: bytes, client: Client) -> bytes:
    """The beginning of a server's stream as it may stand within the client's, which may have begun:
    a byte order mark stands at the very beginning alone."""
    return beginning.removeprefix(sse.BYTE_ORDER_MARK) if client.sent_bytes else beginning


async def go_on(answer: Answer, client: Client, delivery: Delivery) -> None:
    """Hand on the rest of a stream, which another server began. Raises UpstreamBroke for an answer
    that is no stream, or fails with its first event: nothing of it goes to the client."""
    crossing = headers.to_client(answer.headers)
    is_stream = sse.is_stream(headers.first(crossing, b"content-type") or b"")
    if answer.status != 200 or not is_stream:
        raise _did_not_go_on(answer)
    events, pieces = _events(delivery), answer.pieces()
    feeding = Feeding(events, delivery.watcher, delivery.offload, client.charge.hold_answer)
    async with pinging(client, events.ping):
        first = await anext(pieces, b"")
    told = await feeding.take_in(first)
    if not any(told) and (events.is_over or not first):
        raise _did_not_go_on(answer)
    delivery.begun()
    await _told(told, pieces, feeding, client, delivery)
    await _read_on(pieces, answer.waits.drain_seconds)


def _did_not_go_on(answer: Answer) -> UpstreamBroke:
    return UpstreamBroke(
        f"The provider {answer.provider.name!r} did not go on: HTTP {answer.status}."
    )


async def _told(
    held: list[bytes],
    pieces: AsyncIterator[bytes],
    feeding: Feeding,
    client: Client,
    delivery: Delivery,
) -> None:
    """The stream to its end, of which `held` is the beginning."""
    events = feeding.events
    client.broken = partial(_last_words, events, delivery.watcher)
    try:
        async with pinging(client, events.ping):
            await _hand_on_events(held, pieces, feeding, client)
        _check_finished(delivery.sentence)
    except UpstreamError as error:
        await _broke_off(error, feeding, client, delivery.sentence)
    except (MemoryFull, BodyTooLarge) as error:
        told = UpstreamUnreadable(str(error))
        await _broke_off(told, feeding, client, delivery.sentence)
    last = await feeding.watching.feed(await feeding.last())
    await feeding.watching.end()
    await client.write(last, more=False)
    if events.error is not None:
        raise events.error


def _check_finished(sentence: Sentence | None) -> None:
    """Raises UpstreamBroke where the server of a sentence did not bring it to its end."""
    if sentence is not None and not sentence.is_finished:
        raise UpstreamBroke("The server was stopped before its answer was whole.")


async def _broke_off(
    error: UpstreamError, feeding: Feeding, client: Client, sentence: Sentence | None
) -> None:
    """What follows where a stream breaks off. Of a sentence whose text is all there, nothing: `end`
    says what is missing. Any other sentence raises Interrupted, for another server to go on. A
    stream that is no sentence is ended by an event of `error`, which is raised."""
    if sentence is not None and sentence.is_finished:
        return
    if sentence is not None:
        raise Interrupted(
            error, can_go_on=sentence.can_go_on, is_stopping=sentence.is_aborted
        ) from error
    last = await feeding.broken(error)
    await feeding.watching.feed(last)
    await client.write(last, more=False)
    raise error


def _last_words(events: EventStream, watcher: Watcher, error: GatewayError) -> bytes:
    """For a call that is cancelled, which waits for nothing."""
    last = events.broken(error)
    watcher.feed(last)
    watcher.settle()
    return last


async def _read_on(pieces: AsyncIterator[bytes], seconds: float) -> None:
    """To the end of a stream that has said all, so that its connection can be kept."""
    with contextlib.suppress(TimeoutError, UpstreamError):
        async with asyncio.timeout(seconds):
            async for _ in pieces:
                pass


def _events(delivery: Delivery) -> EventStream:
    events = _unnamed(delivery)
    return renaming.Renamed(events, delivery.said_model) if delivery.said_model else events


def _unnamed(delivery: Delivery) -> EventStream:
    """The stream that says the server's own name of the model."""
    if delivery.sentence is not None:
        return delivery.sentence
    if delivery.translation is not None:
        return delivery.translation.stream()
    if delivery.dialect is Dialect.ANTHROPIC:
        return NativeStream()
    if delivery.dialect is Dialect.RESPONSES:
        return Numbered()
    return Untouched(delivery.dialect)


@contextlib.asynccontextmanager
async def pinging(client: Client, ping: bytes) -> AsyncIterator[None]:
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
    held: list[bytes], pieces: AsyncIterator[bytes], feeding: Feeding, client: Client
) -> None:
    events, turns = feeding.events, feeding.turns
    for told in filter(None, held):
        await client.write(await feeding.watching.feed(told), more=True)
    if events.is_over:
        return
    async for piece in pieces:
        turns.begin()
        for part in feeding.parts(piece):
            told = await feeding.fed(part)
            if told:
                await client.write(await feeding.watching.feed(told), more=True)
            if events.is_over:
                return  # what the server still has to say is for nobody
            if turns.are_over():
                await asyncio.sleep(0)


def _stream_headers(crossing: Pairs) -> Pairs:
    """Without a length, so that a stream which breaks off can be ended by an event more."""
    present = {name for name, _ in crossing}
    kept = without_length(crossing)
    return kept + [pair for pair in STREAM_HEADERS if pair[0] not in present]
