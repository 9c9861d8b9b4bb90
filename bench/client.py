"""A bare HTTP/1.1 client: one call at a time on a kept connection, and little work for each.

It understands answers with a length and chunked ones. One that ends with its connection counts
as broken: none of the servers measured sends such.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_LAST_CHUNK = b"\r\n0\r\n\r\n"

UPGRADE = (
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n"
    "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)

Watch = Callable[[bytes], None]


class Broken(Exception):
    """The connection ended before its answer did."""


@dataclass(frozen=True, slots=True)
class Server:
    """Who is measured: a port on the loopback address, and what a call to it names."""

    name: str
    port: int
    model: str
    key: str = ""

    def get(self, path: str) -> bytes:
        return f"GET {path} HTTP/1.1\r\n{self._headers()}\r\n".encode()

    def chat(self, prompt: str = "How is the weather?", max_tokens: int = 0) -> bytes:
        """A chat completion as it goes on the wire; streamed when `max_tokens` chunks are asked."""
        members: dict[str, object] = {}
        if max_tokens:
            members |= {"stream": True, "max_tokens": max_tokens}
        members["messages"] = [{"role": "user", "content": prompt}]
        return self.post("/v1/chat/completions", members)

    def session(self, number: int) -> bytes:
        """The handshake of a realtime session; its number stands in the query."""
        target = f"/v1/realtime?model={self.model}&number={number}"
        return f"GET {target} HTTP/1.1\r\n{self._headers()}{UPGRADE}\r\n".encode()

    def post(self, path: str, members: dict[str, object]) -> bytes:
        """A call of `path` as it goes on the wire, for the model that is measured."""
        return self.change(path, {"model": self.model, **members})

    def change(self, path: str, members: dict[str, object]) -> bytes:
        """A POST of these members and no others."""
        body = json.dumps(members).encode()
        head = f"POST {path} HTTP/1.1\r\n{self._headers()}"
        sized = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        return (head + sized).encode() + body

    def _headers(self) -> str:
        key = f"authorization: Bearer {self.key}\r\n" if self.key else ""
        return f"host: 127.0.0.1:{self.port}\r\naccept: */*\r\n{key}"


class Connection(asyncio.Protocol):
    """A connection made by `connect`. Whoever made it closes it."""

    _transport: asyncio.Transport

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[int] | None = None
        self._watch: Watch | None = None
        self._head = b""
        self._tail = b""
        self._status = 0
        self._unread = 0
        self._lost = False

    async def call(self, request: bytes, watch: Watch | None = None) -> int:
        """Send `request`; the status, once the whole answer is here. `watch` sees bytes as they come.

        Raises:
            Broken: the connection ended before, or was closed already.
        """
        if self._lost:
            raise Broken
        self._watch, self._head, self._status = watch, b"", 0
        self._answer = self._loop.create_future()
        self._transport.write(request)
        return await self._answer

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if self._answer and not self._answer.done():
            self._answer.set_exception(Broken())

    def data_received(self, data: bytes) -> None:
        if self._watch:
            self._watch(data)
        if self._status:
            self._read_body(data)
        else:
            self._read_head(data)

    def _read_head(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._head, 0, end + 2)
        self._status = int(self._head[9:12])
        self._unread = int(length[1]) if length else -1
        self._tail = b"\r\n"
        self._read_body(self._head[end + 4 :])

    def _read_body(self, data: bytes) -> None:
        if self._unread >= 0:
            self._unread = max(0, self._unread - len(data))
            whole = self._unread == 0
        else:
            self._tail = (self._tail + data)[-len(_LAST_CHUNK) :]
            whole = self._tail == _LAST_CHUNK
        if whole and self._answer and not self._answer.done():
            self._answer.set_result(self._status)


async def connect(port: int) -> Connection:
    """Raises OSError when nobody listens."""
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, "127.0.0.1", port
    )
    return connection


async def fetch(server: Server, request: bytes) -> tuple[int, bytes]:
    """One call on a connection of its own: the status, and all bytes of the answer, head included.

    Raises:
        OSError, Broken: nobody listens, or the answer was cut.
    """
    received = bytearray()
    connection = await connect(server.port)
    try:
        return await connection.call(request, received.extend), bytes(received)
    finally:
        connection.close()
