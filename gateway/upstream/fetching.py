"""One small question to one server, for discovery and probes: its own pool, closed at the end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from functools import partial
from typing import cast

import httpx

from gateway.hops import HEADER as HOPS
from gateway.upstream.transport import AiohttpTransport, NotConnected
from gateway.upstream.waits import Waits
from providers import faults, installation
from providers.faults import Fault
from providers.fetch import Fetch, Fetched, NoAnswerInTime, NotReached, TooLong

CONNECT_SHARE = 0.5
"""Of the time for an answer: the most that the connection takes."""
TLS_SECONDS = 1.0


class Fetching:
    """`providers.fetch.Fetching`: each question over a connection of its own, or some together."""

    async def __call__(
        self, url: str, authorization: str | None, *, seconds: float, most_bytes: int
    ) -> Fetched:
        """GET `url`. Raises FetchFailed, whose text is for the operator."""
        async with self.together() as fetch:
            return await fetch(url, authorization, seconds=seconds, most_bytes=most_bytes)

    @contextlib.asynccontextmanager
    async def together(self) -> AsyncIterator[Fetch]:
        """What asks one server, one question after the other, over the same connection."""
        transport = AiohttpTransport(connections=1, waits=Waits())
        try:
            yield partial(_fetched, transport)
        finally:
            await transport.aclose()


fetch = Fetching()


async def _fetched(
    transport: AiohttpTransport,
    url: str,
    authorization: str | None,
    *,
    seconds: float,
    most_bytes: int,
) -> Fetched:
    try:
        request = _request(url, authorization, seconds)
    except httpx.InvalidURL:
        raise NotReached(faults.HOST_NOT_FOUND) from None
    try:
        async with asyncio.timeout(seconds):
            return await _whole(await transport.handle_async_request(request), most_bytes)
    except httpx.ConnectTimeout:
        raise _no_connection(seconds * CONNECT_SHARE) from None
    except (TimeoutError, httpx.TimeoutException):
        raise NoAnswerInTime(
            f"No answer within {seconds:g} s.",
            "The server takes connections; it may be starting, overloaded, or stuck.",
        ) from None
    except NotConnected as error:
        raise NotReached(error.fault) from None
    except httpx.TransportError as error:
        raise NotReached(await _broken(request.url, error)) from None


def _request(url: str, authorization: str | None, seconds: float) -> httpx.Request:
    headers = [("accept-encoding", "identity"), (HOPS.decode(), installation.ids()[0])]
    if authorization is not None:
        headers.append(("authorization", authorization))
    limits = {"connect": seconds * CONNECT_SHARE, "first_byte": seconds, "read": seconds}
    return httpx.Request("GET", url, headers=headers, extensions={"timeout": limits})


def _no_connection(seconds: float) -> NoAnswerInTime:
    fault = faults.NO_CONNECTION_IN_TIME
    return NoAnswerInTime(f"No connection within {seconds:g} s.", fault.mend)


async def _broken(url: httpx.URL, error: httpx.TransportError) -> Fault:
    """Why a connection ended without an answer: the server speaks TLS, or nobody knows."""
    if url.scheme == "http" and await _speaks_tls(url.host, url.port or 80):
        return faults.SPEAKS_TLS
    return Fault(str(error))


async def _speaks_tls(host: str, port: int) -> bool:
    """Whether a TLS handshake comes about, with whatever certificate: nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(TLS_SECONDS):
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except (OSError, TimeoutError):  # ssl.SSLError among them
        return False
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(TLS_SECONDS):
            await writer.wait_closed()
    return True


async def _whole(response: httpx.Response, most_bytes: int) -> Fetched:
    body, stream = bytearray(), cast(httpx.AsyncByteStream, response.stream)
    try:
        async for piece in stream:
            body += piece
            if len(body) > most_bytes:
                raise TooLong(f"The answer is longer than {most_bytes} bytes.")
    finally:
        await stream.aclose()
    location = response.headers.get("location", "")
    return Fetched(response.status_code, bytes(body), location)
