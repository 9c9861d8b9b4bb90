"""One request and its answer: the ASGI `scope`, `receive` and `send` of one application call."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aurora_site.server.answers import (
    CONTINUE,
    JSON,
    LAST_CHUNK,
    SERVER,
    answer_head,
    date,
    error_body,
)
from aurora_site.server.head import Head, Headers

if TYPE_CHECKING:
    from aurora_site.server.connection import Connection

BODY_HIGH_WATER_BYTES = 256 * 1024
PIECE_OVERHEAD_BYTES = 64
"""What each piece counts beside its bytes: a body may come byte by byte."""
# Up to here a copy costs less than a second write.
JOIN_BYTES = 64 * 1024
_BODYLESS = frozenset((204, 304))

logger = logging.getLogger("aurora.server")


class Waiters:
    """Coroutines that wait for news; one that is cancelled leaves the others waiting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._futures: set[asyncio.Future[None]] = set()

    async def wait(self) -> None:
        future = self._loop.create_future()
        self._futures.add(future)
        try:
            await future
        finally:
            self._futures.discard(future)

    def wake(self) -> None:
        for future in self._futures:
            if not future.done():
                future.set_result(None)


def identified(headers: Headers, request_id: str) -> Headers:
    """A request's headers, its id among them: one id on every answer and log line, whoever speaks."""
    own = (b"x-request-id", request_id.encode())
    if not request_id or own in headers:
        return headers
    return [*(pair for pair in headers if pair[0] != own[0]), own]


class Exchange:
    """Runs the application for one request. The connection feeds it the body and is told the end.

    Nothing is written once the client is gone; of the body at most BODY_HIGH_WATER_BYTES and one
    read of the socket are held.
    """

    def __init__(self, connection: Connection, head: Head) -> None:
        self._connection = connection
        self._server = connection.server
        self._head = head
        name = self._server.request_id
        self.request_id = name(head.headers) if name else ""
        self._lost_reason = ""
        self._news = Waiters(connection.loop)
        self._chunks: deque[bytes] = deque()
        self._buffered_bytes = 0
        self._body_given = False
        self._expects_continue = head.expects_continue
        self._status: int | None = None
        self._headers: Iterable[tuple[bytes, bytes]] = ()
        self._head_written = False
        self._told = False
        self._chunked = False
        self._left_bytes: int | None = None  # of the declared Content-Length
        self.body_complete = False
        self.gone = False
        self.done = False
        self.closes = False

    @property
    def holds_enough(self) -> bool:
        """Of a body that the application does not take."""
        return self._buffered_bytes > BODY_HIGH_WATER_BYTES

    @property
    def started(self) -> bool:
        return self._status is not None

    def start(self) -> None:
        task = self._connection.loop.create_task(self._run())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    # What the connection tells.

    def feed(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._buffered_bytes += len(chunk) + PIECE_OVERHEAD_BYTES
        if self.holds_enough:
            self._connection.pause_reading()
        self._news.wake()

    def feed_end(self) -> None:
        self.body_complete = True
        self._news.wake()

    def lose(self, reason: str = "") -> None:
        """The client is gone or, for a `reason`, what it sends cannot be understood any more."""
        self.gone = True
        self._lost_reason = reason
        self._chunks.clear()
        self._news.wake()

    # What the application sees.

    def _scope(self) -> dict[str, Any]:
        head, connection = self._head, self._connection
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": head.http_version,
            "method": head.method,
            "path": unquote(head.raw_path.decode("ascii")),
            "raw_path": head.raw_path,
            "query_string": head.query_string,
            "root_path": "",
            "scheme": "http",
            "headers": identified(self._head.headers, self.request_id),
            "client": connection.client,
            "server": connection.address,
            "extensions": {"aurora.gone": self.until_gone},
        }

    async def receive(self) -> dict[str, Any]:
        while not (self.gone or self._told):
            if self._chunks:
                return self._next_chunk()
            if self.body_complete and not self._body_given:
                self._body_given = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if self._expects_continue and not self._head_written:
                self._expects_continue = False
                self._connection.push(CONTINUE)
            await self._news.wait()
        if self._lost_reason:
            return {"type": "http.disconnect", "reason": self._lost_reason}
        return {"type": "http.disconnect"}

    async def until_gone(self) -> None:
        """Return when the client has left, or the response is complete. `receive` tells that too,
        but not past a body that nobody takes in."""
        while not (self.gone or self.done):
            await self._news.wait()

    def _next_chunk(self) -> dict[str, Any]:
        self._expects_continue = False
        # All there is at once: a body in tiny chunks must not cost a message each.
        chunk = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered_bytes = 0
        more = not self.body_complete
        self._body_given = not more
        if more:
            self._connection.resume_reading()
        return {"type": "http.request", "body": chunk, "more_body": more}

    async def send(self, message: dict[str, Any]) -> None:
        """Returns once the client has taken enough; at once, having done nothing, if it is gone."""
        if self.gone:
            return
        if message["type"] == "http.response.body":
            self._send_body(message.get("body", b""), message.get("more_body", False))
            try:
                if self._connection.blocked:
                    await self._connection.until_drained()
            finally:
                self._tell_done()
        elif message["type"] == "http.response.start":
            self._send_start(message["status"], message.get("headers", ()))
            # Alone it leaves in the loop's next round; with a body sent at once, in one write.
            self._connection.loop.call_soon(self._flush_head)
        else:
            raise ValueError(f"{message['type']} is no message of an HTTP response")

    def _send_start(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if self.started:
            raise RuntimeError("The response has been started before")
        self._status, self._headers = status, headers

    def _flush_head(self) -> None:
        if not (self._head_written or self.gone):
            self._connection.push(self._answer_head(None))

    def _send_body(self, body: bytes, more: bool) -> None:
        if not self.started or self.done:
            raise RuntimeError("The response has not been started, or is complete")
        head = b"" if self._head_written else self._answer_head(None if more else len(body))
        framed = self._framed(body, more)
        if len(framed) > JOIN_BYTES:
            self._connection.push(head)
            self._connection.push(framed)
        else:
            self._connection.push(head + framed)
        if not more:
            self._finish()

    def _framed(self, body: bytes, more: bool) -> bytes:
        if self._chunked:
            chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            return chunk if more else chunk + LAST_CHUNK
        if self._left_bytes is None:
            return b"" if self._has_no_body() else body
        self._left_bytes -= len(body)
        if self._left_bytes < 0 or (self._left_bytes and not more):
            raise RuntimeError("The response's body is not as long as its Content-Length")
        return body

    def _answer_head(self, whole_bytes: int | None) -> bytes:
        """Decides framing and persistence; `whole_bytes` is the body's length where it is known."""
        status = self._status or 500
        headers, declared = self._own_headers()
        bodyless = self._has_no_body()
        if not bodyless:
            if declared is None and whole_bytes is not None:
                declared = whole_bytes
                headers.append((b"content-length", b"%d" % whole_bytes))
            self._left_bytes = declared
            if declared is None and self._head.http_version == "1.1":
                self._chunked = True
                headers.append((b"transfer-encoding", b"chunked"))
        unframed = not (bodyless or self._chunked or declared is not None)
        if unframed or not (self.body_complete and self._head.keep_alive) or self._server.leaving:
            self.closes = True
        if self.closes:
            headers.append((b"connection", b"close"))
        written = answer_head(status, headers)
        self._head_written = True
        return written

    def _own_headers(self) -> tuple[list[tuple[bytes, bytes]], int | None]:
        """The application's headers without those that are the server's, and its Content-Length."""
        kept, declared, named, dated = [], None, False, False
        for header in self._headers:
            name = header[0].lower()
            if name == b"connection":
                self.closes = self.closes or b"close" in header[1].lower()
                continue
            if name == b"transfer-encoding":
                continue
            if name == b"content-length":
                declared = int(header[1])
            elif name == b"server":
                named = True
            elif name == b"date":
                dated = True
            kept.append((header[0], header[1]))
        if not named:
            kept.append((b"server", SERVER))
        if not dated:
            kept.append((b"date", date(int(time.time()))))
        return kept, declared

    def _has_no_body(self) -> bool:
        return self._head.method == "HEAD" or self._status in _BODYLESS

    def _finish(self) -> None:
        self.done = True
        self._chunks.clear()
        self._connection.exchange_done(self)

    def _tell_done(self) -> None:
        """Only now: until the last `send` returns, a disconnect means that the client has left."""
        if self.done:
            self._told = True
            self._news.wake()

    # How the application's call ends.

    async def _run(self) -> None:
        try:
            await self._server.application(self._scope(), self.receive, self.send)
        except asyncio.CancelledError:
            self._fail(503, "Aurora is stopping", "stopping")
            raise
        except ConnectionAbortedError as error:
            if self.started:
                self._cut(str(error))
                return
            self._log("The application failed", exc_info=True)
        except Exception:  # noqa: BLE001 - whatever the application raises, its client is answered
            self._log("The application failed", exc_info=True)
        else:
            if self.done or self.gone:
                return
            self._log("The application returned before its response was complete")
        self._fail(
            500, "Aurora failed to handle this call; its log has the reason", "internal_error"
        )

    def _cut(self, reason: str) -> None:
        """The application's own word: the client must not take what it has for a whole answer. Where
        all was handed over, some of it waits for the client still."""
        if not self.gone and (not self.done or self._connection.blocked):
            fields = {"request_id": self.request_id, "reason": reason}
            logger.info("Broke off an answer: %s", reason, extra={"fields": fields})
            self._connection.abort()

    def _log(self, message: str, exc_info: bool = False) -> None:
        path = self._head.raw_path.decode("ascii")
        fields = {"request_id": self.request_id, "method": self._head.method, "path": path}
        logger.error(message, exc_info=exc_info, extra={"fields": fields})

    def _fail(self, status: int, message: str, code: str) -> None:
        if self.done or self.gone:
            return
        if self.started:
            self._connection.abort()
            return
        own = ((b"x-request-id", self.request_id.encode()),) if self.request_id else ()
        self._send_start(status, (JSON, *own))
        self._send_body(error_body(message, "server_error", code), more=False)
        self._tell_done()
