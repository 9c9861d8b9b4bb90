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
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import aiohttp
import httpx
from aiohttp.client_reqrep import ClientRequest
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.streams import EMPTY_PAYLOAD
from multidict import CIMultiDict
from yarl import URL

from gateway.upstream.connections import Attempt, Connection, Connector, current_attempt
from gateway.upstream.waits import Waits
from providers import faults
from providers.metadata import RefusedAddress

READ_BUFFER_BYTES = 64 * 2**10
MOST_HEADER_BYTES = 64 * 2**10
MOST_CHUNKS_AT_ONCE = 64
"""Of more than these, each is not handed on by itself: a server may send a chunk for each byte."""
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


@dataclass(frozen=True, slots=True)
class Upgraded:
    """A WebSocket, and the connection beneath it."""

    socket: aiohttp.ClientWebSocketResponse
    connection: Connection


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
        self._connector: Connector | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's status and headers; its stream must be closed by the caller."""
        seconds: dict[str, float] = request.extensions["timeout"]
        attempt = self._begun()
        with self._keeping_no_stale(attempt), _named_truly(attempt):
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

        It is sent once, as a call is.
        """
        seconds: dict[str, float] = request.extensions["timeout"]
        attempt = self._begun()
        session = self._handshake_session(seconds)
        try:
            with self._keeping_no_stale(attempt), _named_truly(attempt):
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
        return Upgraded(upgraded, cast(Connection, attempt.connection))

    def _begun(self) -> Attempt:
        attempt = Attempt(self._waits.stale_seconds)
        current_attempt.set(attempt)
        return attempt

    @contextlib.contextmanager
    def _keeping_no_stale(self, attempt: Attempt) -> Iterator[None]:
        """Where one kept connection of a server had ended, so have the others, as by its restart."""
        try:
            yield
        except StaleConnection:
            self._open_connector().close_idle(attempt.key)
            raise

    def _handshake_session(self, seconds: dict[str, float]) -> aiohttp.ClientSession:
        """Timeouts of a handshake belong to aiohttp's session: so each has one, which owns nothing."""
        session = aiohttp.ClientSession(
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
        return _without_repeats(session)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._open_connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=AUTOMATIC_HEADERS,
                auto_decompress=False,
                read_bufsize=READ_BUFFER_BYTES,
                max_line_size=MOST_HEADER_BYTES,
                max_field_size=MOST_HEADER_BYTES,
            )
            _without_repeats(self._session)
        return self._session

    def _open_connector(self) -> Connector:
        if self._connector is None:
            self._connector = Connector(
                limit=self._connections,
                limit_per_host=0,
                keepalive_timeout=self._waits.keep_alive_seconds,
            )
        return self._connector

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


def _without_repeats(session: aiohttp.ClientSession) -> aiohttp.ClientSession:
    """aiohttp would repeat GET and DELETE by itself, on fresh connections too."""
    session._retry_connection = False
    return session


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
    """The answer's body, in the pieces in which the server sent it. Of many small ones that came at
    once, all is one piece."""

    def __init__(self, answer: aiohttp.ClientResponse, idle_seconds: float) -> None:
        self._answer, self._idle_seconds = answer, idle_seconds
        coding = answer.headers.get("transfer-encoding", "").lower()
        self._is_chunked = "chunked" in coding and answer.content is not EMPTY_PAYLOAD

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _named_truly(None):
            content = self._answer.content
            piece = await self._next_piece(content)
            self._expect_the_next_sooner()
            while piece or not content.at_eof():
                if piece:
                    yield piece
                piece = await self._next_piece(content)

    async def _next_piece(self, content: aiohttp.StreamReader) -> bytes:
        """Empty at the end, and perhaps before it."""
        chunk_ends = content._http_chunk_splits if self._is_chunked else None
        if not self._is_chunked or (chunk_ends and len(chunk_ends) > MOST_CHUNKS_AT_ONCE):
            return await content.readany()
        piece, _ = await content.readchunk()
        return piece

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
def _named_truly(attempt: Attempt | None) -> Iterator[None]:
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
    if isinstance(error.os_error, RefusedAddress):
        return faults.METADATA
    return faults.of(error.os_error)
