"""The only door to vLLM: a call goes out, an answer comes back, and its errors become ours."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from types import TracebackType
from typing import Self, cast

import httpx

from gateway.errors import (
    UpstreamBroke,
    UpstreamConnectTimeout,
    UpstreamError,
    UpstreamStale,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from gateway.upstream.socket import MOST_MESSAGE_BYTES, Socket
from gateway.upstream.transport import AiohttpTransport, StaleConnection
from gateway.upstream.waits import Waits
from providers.snapshot import ProviderEntry


@dataclass(frozen=True, slots=True)
class Outgoing:
    """What is sent to `provider`. `path` begins below the server root; `query` is raw.

    A body in bytes may be sent again; one that streams may not.
    """

    provider: ProviderEntry
    method: str
    path: str
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    body: bytes | AsyncIterable[bytes] = field(repr=False)
    query: bytes = b""

    def streaming(self, pieces: AsyncIterable[bytes], length: int | None) -> Outgoing:
        """The same with a body that is sent as it comes, `length` bytes of it if that is known."""
        known = [] if length is None else [(b"content-length", str(length).encode())]
        return replace(self, body=pieces, headers=[*self.headers, *known])

    @property
    def url(self) -> str:
        """Where it goes, without the query: that crosses as it came, and URL parsers rewrite."""
        return f"{self.provider.address.server_root}{self.path}"


class Answer:
    """Status and headers, and the body still to be read. Close it, best by `async with`."""

    def __init__(self, provider: ProviderEntry, response: httpx.Response, waits: Waits) -> None:
        self.provider, self.waits = provider, waits
        self.status = response.status_code
        self.headers = response.headers.raw
        self._stream = cast(httpx.AsyncByteStream, response.stream)

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises UpstreamBroke or UpstreamTimeout where it breaks off."""
        try:
            async for piece in self._stream:
                yield piece
        except httpx.TransportError as error:
            raise translated(error, self.provider) from error

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stream.aclose()


class Door:
    """One pool of connections to all vLLM servers. It belongs to one event loop."""

    def __init__(self, *, connections: int, waits: Waits = Waits()) -> None:  # noqa: B008 - frozen
        self._waits = waits
        self._transport = AiohttpTransport(connections=connections, waits=waits)

    async def send(self, outgoing: Outgoing) -> Answer:
        """Send; return once the headers are in, the body unread. The caller must close the answer.

        A 4xx or 5xx is returned, not raised: its body is the upstream's to word.

        Raises UpstreamUnreachable (nothing was sent), UpstreamTimeout, UpstreamBroke, or
        UpstreamStale (sent, perhaps executed). It is sent once; whether it is sent again is for the
        caller to say, and to count.
        """
        try:
            response = await self._transport.handle_async_request(_request(outgoing))
        except httpx.TransportError as error:
            raise translated(error, outgoing.provider) from error
        return Answer(outgoing.provider, response, self._waits)

    async def open_socket(self, outgoing: Outgoing, subprotocols: Iterable[str]) -> Socket:
        """Open a WebSocket where `outgoing` goes; return once the server has accepted it. The
        caller must close the socket.

        Raises NotUpgraded where the server answers with a status, UpstreamUnreachable,
        UpstreamTimeout or UpstreamBroke.
        """
        try:
            upgraded = await self._transport.open_websocket(
                _request(outgoing), subprotocols, most_message_bytes=MOST_MESSAGE_BYTES
            )
        except httpx.TransportError as error:
            raise translated(error, outgoing.provider) from error
        return Socket(outgoing.provider, upgraded, self._waits)

    async def aclose(self) -> None:
        await self._transport.aclose()


@lru_cache(maxsize=1024)
def parsed_url(url: str) -> httpx.URL:
    """Parsing a URL costs a tenth of a small call, and a fleet has few of them."""
    return httpx.URL(url)


def _request(outgoing: Outgoing) -> httpx.Request:
    provider, body = outgoing.provider, outgoing.body
    return httpx.Request(
        outgoing.method,
        parsed_url(outgoing.url),
        headers=outgoing.headers,
        stream=httpx.ByteStream(body) if isinstance(body, bytes) else Upload(body),
        extensions={
            "query": outgoing.query,
            "timeout": {
                "connect": provider.connect_seconds,
                "first_byte": provider.first_byte_seconds,
                "read": provider.idle_seconds,
            },
        },
    )


class Upload(httpx.AsyncByteStream):
    """A body that is sent as it comes in."""

    def __init__(self, pieces: AsyncIterable[bytes]) -> None:
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._pieces:
            yield piece


def translated(error: httpx.TransportError, provider: ProviderEntry) -> UpstreamError:
    """`error` as the caller is told of it: by the provider's name, never its address."""
    name = f"The provider {provider.name!r}"
    if isinstance(error, httpx.ConnectTimeout):
        return UpstreamConnectTimeout(
            f"{name} accepted no connection within {provider.connect_seconds:g} s."
        )
    if isinstance(error, httpx.ConnectError):
        return UpstreamUnreachable(f"{name} cannot be reached: {error}.")
    if isinstance(error, httpx.TimeoutException):
        return UpstreamTimeout(f"{name} was silent for too long.")
    kind = UpstreamStale if isinstance(error, StaleConnection) else UpstreamBroke
    return kind(f"{name} failed: {error}.")
