"""httpx's transport interface over aiohttp's sockets, with the truth about what went wrong.

Whether a call may be repeated hangs on its error, so each of aiohttp's is mapped by what it says
of the wire, not by its base class:

    ConnectError, ConnectTimeout    nothing was sent
    StaleConnection                 a kept-alive connection was closed before any byte of an answer
    ReadError                       sent, at least in part; reset before or within the answer
    ReadTimeout                     sent; silence for longer than `extensions["timeout"]["read"]`
    RemoteProtocolError             what came is not HTTP, or is shorter than it said
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import struct
import time
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import aiohttp
import httpx
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.tracing import Trace
from multidict import CIMultiDict
from yarl import URL

from aurora_site.tcp import keep_alive
from gateway.upstream.waits import Waits
from providers import faults

READ_BUFFER_BYTES = 64 * 2**10
MOST_HEADER_BYTES = 64 * 2**10
SLICE_BYTES = 256 * 2**10
_UNSENDABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
AUTOMATIC_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


class NotConnected(httpx.ConnectError):
    """Its text holds no address: that may not be for the caller's eyes."""

    def __init__(self, fault: faults.Fault) -> None:
        super().__init__(fault.fact)
        self.fault = fault


class StaleConnection(httpx.ReadError):
    """The connection had carried a call before and was closed before any byte of this answer."""


def _looked_at(waiter: asyncio.Future[None]) -> None:
    """asyncio reports an exception that nobody has asked for: whoever waited may be cancelled."""
    if not waiter.cancelled():
        waiter.exception()


class _Protocol(ResponseHandler):
    """One connection. aiohttp lets the reader of a body wait for ever when bytes that are no HTTP
    come within it: here the end of the connection is always the end of the body."""

    calls = 0
    given_at = 0.0
    answer_began = False
    """Whether any byte has come of the answer to the last call."""

    def data_received(self, data: bytes) -> None:
        self.answer_began = True
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
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


@dataclass(slots=True)
class _Attempt:
    """The connection that one call was given."""

    stale_seconds: float
    protocol: _Protocol | None = None

    @property
    def is_stale(self) -> bool:
        """Whether it had carried a call before, and ended as soon as it was given this one.

        One that ends later may well have been at work on the call: that must not be repeated."""
        protocol = self.protocol
        if protocol is None or protocol.calls < 2 or protocol.answer_began:
            return False
        return time.monotonic() - protocol.given_at < self.stale_seconds


_attempt: ContextVar[_Attempt] = ContextVar("attempt")


def _kept_alive(address: aiohttp.AddrInfoType) -> socket.socket:
    family, kind, protocol, _, _ = address
    connection = socket.socket(family, kind, protocol)
    keep_alive(connection)
    return connection


class _Connector(aiohttp.TCPConnector):
    """Tells each call which connection it was given."""

    def __init__(self, **options: Any) -> None:
        super().__init__(socket_factory=_kept_alive, **options)
        self._factory = cast(Any, partial(_Protocol, loop=self._loop))

    async def connect(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - aiohttp's signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        protocol = cast(_Protocol, connection.protocol)
        protocol.calls += 1
        protocol.given_at = time.monotonic()
        protocol.answer_began = False
        _attempt.get().protocol = protocol
        return connection


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A WebSocket, and the connection beneath it."""

    socket: aiohttp.ClientWebSocketResponse
    protocol: _Protocol


class NotUpgraded(Exception):
    """The server answered a WebSocket's handshake with an HTTP status."""

    def __init__(self, status: int, *, has_body: bool) -> None:
        super().__init__(f"HTTP {status}")
        self.status, self.has_body = status, has_body


async def _only_upgraded(
    request: ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Any other answer to a handshake is an error at once: aiohttp would follow redirects."""
    answer = await handler(request)
    if answer.status == 101:
        return answer
    has_body = answer.headers.get("content-length") != "0"
    answer.close()
    raise NotUpgraded(answer.status, has_body=has_body)


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One pool of connections. It belongs to the event loop on which it is first used.

    `extensions["timeout"]` of a request holds seconds: `connect` for a connection, `first_byte`
    from then to the first byte of the body, `read` for each later silence; `extensions["query"]`
    is sent as it is.
    """

    def __init__(self, *, connections: int, waits: Waits) -> None:
        self._connections, self._waits = connections, waits
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's status and headers; its stream must be closed by the caller."""
        seconds: dict[str, float] = request.extensions["timeout"]
        attempt = self._begun()
        with _named_truly(attempt):
            answer = await self._send(request, seconds)
        return httpx.Response(
            answer.status,
            headers=answer.raw_headers,
            stream=_Body(answer, seconds["read"]),
            request=request,
        )

    async def _send(
        self, request: httpx.Request, seconds: dict[str, float]
    ) -> aiohttp.ClientResponse:
        headers = CIMultiDict(_texts(request.headers.raw))
        if isinstance(request.stream, httpx.ByteStream) and (length := len(request.read())):
            headers["content-length"] = str(length)
        wait = seconds["connect"] + seconds["first_byte"]
        async with asyncio.timeout(wait) as limit:
            return await self._open_session().request(
                request.method,
                _target(request),
                headers=headers,
                data=_content(request, limit, seconds["first_byte"]),
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=seconds["connect"], sock_read=seconds["first_byte"]
                ),
                allow_redirects=False,
            )

    async def open_websocket(
        self, request: httpx.Request, subprotocols: Iterable[str], *, most_message_bytes: int
    ) -> Upgraded:
        """A WebSocket over a connection of the same pool. Raises NotUpgraded, or as a call does.

        A handshake does nothing yet: aiohttp may send it again where a kept-alive connection
        turned out to be closed.
        """
        seconds: dict[str, float] = request.extensions["timeout"]
        attempt = self._begun()
        session = self._handshake_session(seconds)
        try:
            with _named_truly(attempt):
                upgraded = await session.ws_connect(
                    _target(request),
                    headers=CIMultiDict(_texts(request.headers.raw)),
                    protocols=tuple(subprotocols),
                    autoclose=False,
                    autoping=False,
                    max_msg_size=most_message_bytes + 1,  # the first that is too long
                )
        finally:
            session.detach()
        return Upgraded(upgraded, cast(_Protocol, attempt.protocol))

    def _begun(self) -> _Attempt:
        attempt = _Attempt(self._waits.stale_seconds)
        _attempt.set(attempt)
        return attempt

    def _handshake_session(self, seconds: dict[str, float]) -> aiohttp.ClientSession:
        """Timeouts of a handshake belong to aiohttp's session: so each has one, which owns nothing."""
        return aiohttp.ClientSession(
            connector=self._open_session().connector,
            connector_owner=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=AUTOMATIC_HEADERS,
            max_line_size=MOST_HEADER_BYTES,
            max_field_size=MOST_HEADER_BYTES,
            middlewares=(_only_upgraded,),
            timeout=aiohttp.ClientTimeout(
                total=None, connect=seconds["connect"], sock_read=seconds["first_byte"]
            ),
        )

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_Connector(
                    limit=self._connections,
                    limit_per_host=0,
                    keepalive_timeout=self._waits.keep_alive_seconds,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=AUTOMATIC_HEADERS,
                auto_decompress=False,
                read_bufsize=READ_BUFFER_BYTES,
                max_line_size=MOST_HEADER_BYTES,
                max_field_size=MOST_HEADER_BYTES,
            )
            # aiohttp would repeat GET and DELETE by itself, on fresh connections too.
            self._session._retry_connection = False
        return self._session

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


def _target(request: httpx.Request) -> URL:
    query: bytes = request.extensions.get("query", b"")
    return URL(
        f"{request.url}?{query.decode('ascii')}" if query else str(request.url), encoded=True
    )


def _texts(pairs: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[str, str]]:
    """Headers as aiohttp takes them: UTF-8 without control characters. Other values are left out."""
    for name, value in pairs:
        if not _UNSENDABLE.search(value):
            with contextlib.suppress(UnicodeDecodeError):
                yield name.decode("ascii"), value.decode()


def _content(request: httpx.Request, limit: asyncio.Timeout, seconds: float) -> Any:
    """The body as aiohttp takes it. Of one that streams, each piece asked for moves the limit on."""
    if not isinstance(request.stream, httpx.ByteStream):
        return _postponing(cast(AsyncIterable[bytes], request.stream), limit, seconds)
    body = request.read()
    return _slices(body) if len(body) > SLICE_BYTES else body or None


async def _postponing(
    pieces: AsyncIterable[bytes], limit: asyncio.Timeout, seconds: float
) -> AsyncIterator[bytes]:
    async for piece in pieces:
        if limit.when() is not None and not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time() + seconds)
        yield piece


async def _slices(body: bytes) -> AsyncIterator[memoryview]:
    """Of a large body no more is copied to the socket's buffer than it takes at once."""
    view = memoryview(body)
    for start in range(0, len(body), SLICE_BYTES):
        yield view[start : start + SLICE_BYTES]


class _Body(httpx.AsyncByteStream):
    """The answer's body, in the pieces in which the server sent it."""

    def __init__(self, answer: aiohttp.ClientResponse, idle_seconds: float) -> None:
        self._answer, self._idle_seconds = answer, idle_seconds

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _named_truly(None):
            content = self._answer.content
            piece, _ = await content.readchunk()
            self._expect_the_next_sooner()
            while piece or not content.at_eof():
                if piece:
                    yield piece
                piece, _ = await content.readchunk()

    def _expect_the_next_sooner(self) -> None:
        """From the first byte on, silence is measured by `read`."""
        connection = self._answer.connection
        if connection is not None and connection.protocol is not None:
            connection.protocol.read_timeout = self._idle_seconds
            connection.protocol.start_timeout()

    async def aclose(self) -> None:
        """A body read to its end gives its connection back to the pool; any other closes it."""
        self._answer.close()


@contextlib.contextmanager
def _named_truly(attempt: _Attempt | None) -> Iterator[None]:
    """aiohttp's errors as httpx's; the order is from what is certain to what is not."""
    try:
        yield
    except aiohttp.ConnectionTimeoutError as error:
        raise httpx.ConnectTimeout("no connection in time") from error
    except aiohttp.ClientConnectorError as error:
        raise NotConnected(_fault(error)) from error
    except TimeoutError as error:  # aiohttp.SocketTimeoutError among them
        raise httpx.ReadTimeout("no answer in time") from error
    except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError, ConnectionError) as error:
        kind = StaleConnection if attempt and attempt.is_stale else httpx.ReadError
        raise kind("the connection was closed before it answered") from error
    except aiohttp.ClientPayloadError as error:
        raise httpx.RemoteProtocolError("broken off within the answer") from error
    except (aiohttp.InvalidURL, UnicodeError) as error:
        raise NotConnected(faults.HOST_NOT_FOUND) from error
    except (aiohttp.ClientError, HttpProcessingError) as error:
        raise httpx.RemoteProtocolError("not an HTTP answer") from error


def _fault(error: aiohttp.ClientConnectorError) -> faults.Fault:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return faults.HOST_NOT_FOUND
    return faults.of(error.os_error)
