"""One small question to one server, for discovery and probes: its own pool, closed at the end."""

from __future__ import annotations

import asyncio
from typing import cast

import httpx

from gateway.upstream.transport import AiohttpTransport
from providers.discovery import Fetched, FetchFailed, NoAnswerInTime, TooLong


async def fetch(url: str, authorization: str | None, *, seconds: float, most_bytes: int) -> Fetched:
    """GET `url`. Raises FetchFailed, whose text is for the operator."""
    headers = [("accept-encoding", "identity")]
    if authorization is not None:
        headers.append(("authorization", authorization))
    limits = {"connect": seconds, "first_byte": seconds, "read": seconds}
    try:
        request = httpx.Request("GET", url, headers=headers, extensions={"timeout": limits})
    except httpx.InvalidURL:
        raise FetchFailed("Cannot be reached: host not found.") from None
    transport = AiohttpTransport(connections=1)
    try:
        async with asyncio.timeout(seconds):
            return await _whole(await transport.handle_async_request(request), most_bytes)
    except (TimeoutError, httpx.TimeoutException):
        raise NoAnswerInTime(f"No answer within {seconds:g} s.") from None
    except httpx.TransportError as error:
        raise FetchFailed(f"Cannot be reached: {error}.") from None
    finally:
        await transport.aclose()


async def _whole(response: httpx.Response, most_bytes: int) -> Fetched:
    body, stream = bytearray(), cast(httpx.AsyncByteStream, response.stream)
    try:
        async for piece in stream:
            body += piece
            if len(body) > most_bytes:
                raise TooLong(f"The answer is longer than {most_bytes} bytes.")
    finally:
        await stream.aclose()
    return Fetched(response.status_code, bytes(body))
