"""Cross-origin calls from web pages (the CORS protocol of the Fetch standard, section 3.2).

A page's key travels in a header and never in a cookie, so no answer allows credentials.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from gateway.client import Client, Limits, Message, Receive, Request, Send
from gateway.errors import NotPermitted
from gateway.headers import first

ANY_ORIGIN = "*"
METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE"
PREFLIGHT_SECONDS = b"600"
"""How long a browser may keep what a preflight was told."""
_HEADER_NAMES = re.compile(rb"[-!#$%&'*+.^_`|~0-9A-Za-z, ]{1,4096}")

Application = Callable[[Any, Receive, Any], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]


class Cors:
    """Answers preflights itself, without a key, and says on every answer of `application` which
    pages may read it. `origins` are as browsers send them; `*` stands for all."""

    def __init__(self, application: Application, origins: tuple[str, ...], limits: Limits) -> None:
        self._application, self._limits = application, limits
        self._origins = frozenset(origin.encode() for origin in origins)
        self._allows_any = ANY_ORIGIN in origins

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["method"] == "OPTIONS" and _is_preflight(scope["headers"]):
            await self._answer_preflight(Client(Request.of(scope), receive, send, self._limits))
        elif self._origins:
            readable_by = self._readable_by(first(scope["headers"], b"origin"))
            await self._application(scope, receive, _adding(readable_by, send))
        else:
            await self._application(scope, receive, send)

    async def _answer_preflight(self, client: Client) -> None:
        headers = client.request.headers
        origin = first(headers, b"origin") or b""
        if not self._allows_any and origin not in self._origins:
            await client.refuse(
                NotPermitted(
                    f"Pages of {origin[:200].decode('latin-1')} may not call Aurora:"
                    " AURORA_CORS_ORIGINS does not name this origin."
                )
            )
            return
        own = [
            *self._readable_by(origin),
            (b"access-control-allow-methods", METHODS),
            (b"access-control-max-age", PREFLIGHT_SECONDS),
        ]
        wanted = first(headers, b"access-control-request-headers") or b""
        if _HEADER_NAMES.fullmatch(wanted):
            own.append((b"access-control-allow-headers", wanted))
        if first(headers, b"access-control-request-private-network") == b"true":
            own.append((b"access-control-allow-private-network", b"true"))
        await client.start(204, own)
        await client.write(b"", more=False)

    def _readable_by(self, origin: bytes | None) -> Headers:
        """What tells the browser whether a page of `origin` may read the answer."""
        expose = (b"access-control-expose-headers", b"*")
        if self._allows_any:
            return [(b"access-control-allow-origin", b"*"), expose]
        vary = (b"vary", b"origin")
        if origin is None or origin not in self._origins:
            return [vary]
        return [(b"access-control-allow-origin", origin), expose, vary]


def _is_preflight(headers: Headers) -> bool:
    return first(headers, b"access-control-request-method") is not None


def _adding(headers: Headers, send: Send) -> Send:
    async def adding(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return adding
