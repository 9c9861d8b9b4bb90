"""Connections to servers: each answer reaches the call that it answers, and no other.

A server may send what nobody asked for: a second answer, a 408 to a connection that was idle for
long, bytes behind the end of an answer. HTTP/1.1 gives an answer no name, so such bytes would be
read as the answer to the next call on the connection. Here they end it.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
import time
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.http import RawResponseMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.tracing import Trace

from aurora_site.tcp import keep_alive
from gateway.turns import Turns
from providers import metadata

TAKEN_BYTES = 16 * 2**10
"""Of what one read brings, before the clock is looked at."""
MOST_HEADS = 32
"""Of one answer: those of interim answers (1xx), and its own."""
END_OF_HEAD = b"\r\n\r\n"
_NEWS = select.POLLIN | select.POLLERR | select.POLLHUP


def _looked_at(waiter: asyncio.Future[None]) -> None:
    """asyncio reports an exception that nobody has asked for: whoever waited may be cancelled."""
    if not waiter.cancelled():
        waiter.exception()


class Connection(ResponseHandler):
    """One connection. aiohttp lets the reader of a body wait for ever when bytes that are no HTTP
    come within it: here the end of the connection is always the end of the body."""

    calls = 0
    given_at = 0.0
    is_idle = False
    """Whether it lies in the pool: whatever comes then is the answer to no call."""
    answer_began = False
    """Whether any byte has come of the answer to the last call."""
    _arrived = b""
    """What came in one read and is still to be taken."""
    _is_reading = False
    _has_head = False
    """Whether the head of the final answer is in."""
    _has_no_body = False
    _heads = 0
    _may_have_more = False
    """Whether bytes follow the answer, or may: a body where none can be."""

    def begin_call(self) -> None:
        self.calls += 1
        self.given_at = time.monotonic()
        self.is_idle = self.answer_began = False
        self._has_head = self._has_no_body = self._may_have_more = False
        self._heads = 0

    def data_received(self, data: bytes) -> None:
        """In turns of the loop: a server may send a chunk, or a frame, for each byte. aiohttp calls it
        with nothing, too, when a reader has made room."""
        if self._is_reading or not data:
            self._take(data)
        elif self._arrived:
            self._arrived += data
        elif len(data) <= TAKEN_BYTES:
            self._take(data)
        else:
            self._arrived = data
            self._take_some()

    def _take_some(self) -> None:
        turns = Turns()
        turns.begin()
        while self._arrived and not turns.are_over():
            part, self._arrived = self._arrived[:TAKEN_BYTES], self._arrived[TAKEN_BYTES:]
            self._take(part)
        if self._arrived:
            self._pause_transport_reading()
            self._loop.call_soon(self._take_some)
        elif not (self._reading_paused or self._buffer_paused):
            self._resume_transport_reading()

    def _take(self, data: bytes) -> None:
        if self.is_idle:
            if data:
                self.close()
            return
        self.answer_began = True
        self._is_reading = True
        try:
            self._read(data)
        finally:
            self._is_reading = False
        if self.is_idle and self.is_spoilt():
            self.close()

    def _read(self, data: bytes) -> None:
        """Heads by themselves: bytes that are no HTTP must not take the answer before them along."""
        while not self._has_head and self._exception is None and (end := _end_of_head(data)):
            super().data_received(data[:end])
            data = data[end:]
        if self._has_no_body and not self._upgraded:
            self._may_have_more = self._may_have_more or bool(data)
        else:
            super().data_received(data)

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """The parser has read a head."""
        head, body = data
        self._heads += 1
        if self._heads > MOST_HEADS:
            self._refuse("interim answers without end")
            return
        self._has_head = head.code >= 200 or head.code == 101
        self._has_no_body = self._has_head and body is EMPTY_PAYLOAD
        if self._has_no_body:
            promised = head.headers.get("Content-Length", "0")
            self._may_have_more = head.chunked or promised != "0"
        super().feed_data(data, size)

    def _refuse(self, why: str) -> None:
        """Nothing more is read of what is no answer."""
        self.set_exception(HttpProcessingError(message=why))
        if self.transport is not None:
            self.transport.abort()

    def is_spoilt(self) -> bool:
        """Whether the next answer on it might be none to the next call."""
        has_more = self._may_have_more or bool(self._arrived)
        return has_more or self.should_close or self._is_within_an_answer()

    def _is_within_an_answer(self) -> bool:
        """Whether the parser has read a part of a head. To be asked between calls only: it is told
        that the connection ends."""
        try:
            return self._parser is not None and self._parser.feed_eof() is not None
        except HttpProcessingError:
            return True

    @property
    def is_reading(self) -> bool:
        """Whether bytes are just being read: what lies behind an answer is known afterwards."""
        return self._is_reading

    def has_news(self) -> bool:
        """Whether the system has bytes for it, or its end, that nobody has read yet."""
        if self.transport is None:
            return True
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), _NEWS)
        return bool(poll.poll(0))

    def connection_lost(self, exc: BaseException | None) -> None:
        rest, self._arrived = self._arrived, b""
        if rest:
            self._take(rest)
        body = self._payload
        super().connection_lost(exc)
        if body is not None and not body.is_eof() and body.exception() is None:
            body.set_exception(aiohttp.ClientPayloadError("the connection ended within the body"))

    async def _drain_helper(self) -> None:
        """As aiohttp's, whose writers wait for one future: cancelling one would cancel them all."""
        if self.transport is None:
            raise aiohttp.ClientConnectionResetError("Connection lost")
        if self._paused:
            if self._drain_waiter is None:
                self._drain_waiter = self._loop.create_future()
                self._drain_waiter.add_done_callback(_looked_at)
            await asyncio.shield(self._drain_waiter)

    async def until_sent(self) -> None:
        """Return when the system has taken all that was written."""
        if self.transport is not None:
            self.transport.set_write_buffer_limits(0)
            await self._drain_helper()

    def cut(self) -> None:
        """End the connection by a reset: a server that does not read would not see its end behind
        what it has not read."""
        if self.transport is not None:
            beneath = self.transport.get_extra_info("socket")
            beneath.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()


def _end_of_head(data: bytes) -> int:
    """Where a head ends and more follows; 0 where neither is so."""
    end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
    return end if len(END_OF_HEAD) <= end < len(data) else 0


@dataclass(slots=True)
class Attempt:
    """The connection that one call was given."""

    stale_seconds: float
    connection: Connection | None = None
    key: ConnectionKey | None = None

    @property
    def is_stale(self) -> bool:
        """Whether it had carried a call before, and ended as soon as it was given this one.

        One that ends later may well have been at work on the call: that must not be repeated."""
        connection = self.connection
        if connection is None or connection.calls < 2 or connection.answer_began:
            return False
        return time.monotonic() - connection.given_at < self.stale_seconds


current_attempt: ContextVar[Attempt] = ContextVar("attempt")


def _kept_alive(address: aiohttp.AddrInfoType) -> socket.socket:
    """Of an address as it was resolved: what its name stood for before counts for nothing."""
    family, kind, protocol, _, where = address
    if metadata.is_refused(str(where[0])):
        raise metadata.RefusedAddress(metadata.REFUSAL)
    connection = socket.socket(family, kind, protocol)
    keep_alive(connection)
    return connection


class Connector(aiohttp.TCPConnector):
    """The pool. It tells each call which connection it was given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(socket_factory=_kept_alive, **options)
        self._factory = cast(Any, partial(Connection, loop=self._loop))

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> aiohttp.connector.Connection:
        """A connection that was kept is looked at once more: one that the server has closed, or
        said something on, is given up before anything is written on it."""
        while True:
            given = await super().connect(req, traces, timeout)
            connection = cast(Connection, given.protocol)
            if not connection.calls or not connection.has_news():
                break
            given.close()
        connection.begin_call()
        attempt = current_attempt.get()
        attempt.connection, attempt.key = connection, req.connection_key
        return given

    def _release(
        self, key: ConnectionKey, protocol: ResponseHandler, *, should_close: bool = False
    ) -> None:
        """A call is over. What comes from now on is for nobody."""
        connection = cast(Connection, protocol)
        connection.is_idle = True
        spoilt = not connection.is_reading and connection.is_spoilt()
        super()._release(key, connection, should_close=should_close or spoilt)

    def close_idle(self, key: ConnectionKey | None) -> None:
        """Close the kept connections to a server of which one had ended: a restart ends them all."""
        for connection, _ in self._conns.pop(key, ()) if key is not None else ():
            connection.close()
