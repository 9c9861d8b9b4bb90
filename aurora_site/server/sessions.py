"""One WebSocket's application call: its ASGI `scope`, `receive` and `send`."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections import deque
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from aurora_site.server.answers import JSON, SERVER, answer_head, date, error_body
from aurora_site.server.exchange import Waiters, identified
from aurora_site.server.head import Head

if TYPE_CHECKING:
    from aurora_site.server.serving import Server
    from aurora_site.server.websockets import WebSocket

HELD_HIGH_WATER_BYTES = 256 * 1024
MESSAGE_OVERHEAD_BYTES = 128
"""What each message counts beside its payload, so that a queue of empty ones is bounded too."""
NO_CODE = 1005
"""In a disconnect, and in a close that the application sends: a Close frame without a code."""
GOING_AWAY, INTERNAL_ERROR = 1001, 1011
_OF_THE_SERVER = frozenset((b"content-length", b"server", b"date", b"connection"))

logger = logging.getLogger("aurora.server")


class Session:
    """Runs the application for one WebSocket, which feeds it messages and tells it the end.

    Of messages that the application has not taken, HELD_HIGH_WATER_BYTES and what one read of the
    socket completes are held. `send` returns once the client has taken enough.
    """

    def __init__(
        self,
        socket: WebSocket,
        head: Head,
        server: Server,
        client: tuple[str, int],
        address: tuple[str, int],
    ) -> None:
        self._socket, self._head, self._server = socket, head, server
        self._client, self._address = client, address
        name = server.request_id
        self.request_id = name(head.headers) if name else str(uuid.uuid4())
        self._news = Waiters(server.loop)
        self._messages: deque[tuple[bytes, bool]] = deque()
        self._held_bytes = 0
        self._is_over = False
        """Whether the application has ended: it takes nothing in any more."""
        self._connect_told = False
        self._end: dict[str, Any] | None = None
        self._refusal: tuple[int, list[tuple[bytes, bytes]]] | None = None
        self._refusal_body = b""

    def start(self) -> None:
        task = self._server.loop.create_task(self._run())
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)

    # What the socket tells.

    def feed(self, payload: bytes, is_binary: bool) -> None:
        if self._is_over:
            return
        self._messages.append((payload, is_binary))
        self._held_bytes += len(payload) + MESSAGE_OVERHEAD_BYTES
        if self._held_bytes > HELD_HIGH_WATER_BYTES:
            self._socket.pause_reading()
        self._news.wake()

    @property
    def held_bytes(self) -> int:
        return self._held_bytes

    def end(self, code: int, reason: str) -> None:
        """The client has closed, or is gone; the first that is said of it holds."""
        if self._end is None:
            self._end = {"type": "websocket.disconnect", "code": code, "reason": reason}
        self._news.wake()

    def wake(self) -> None:
        self._news.wake()

    # What the application sees.

    def _scope(self) -> dict[str, Any]:
        head = self._head
        return {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": head.http_version,
            "path": unquote(head.raw_path.decode("ascii")),
            "raw_path": head.raw_path,
            "query_string": head.query_string,
            "root_path": "",
            "scheme": "ws",
            "headers": identified(head.headers, self.request_id),
            "client": self._client,
            "server": self._address,
            "subprotocols": self._subprotocols(),
            "extensions": {
                "websocket.http.response": {},
                "aurora.gone": self.until_gone,
                "aurora.no_code": {},
            },
        }

    def _subprotocols(self) -> list[str]:
        lists = [value for name, value in self._head.headers if name == b"sec-websocket-protocol"]
        names = b",".join(lists).decode("latin-1").split(",")
        return list(dict.fromkeys(name.strip() for name in names if name.strip()))

    async def receive(self) -> dict[str, Any]:
        if not self._connect_told:
            self._connect_told = True
            return {"type": "websocket.connect"}
        while not self._messages:
            if self._end is not None:
                return self._end
            await self._news.wait()
        return self._next_message()

    def _next_message(self) -> dict[str, Any]:
        payload, is_binary = self._messages.popleft()
        self._held_bytes -= len(payload) + MESSAGE_OVERHEAD_BYTES
        self._socket.note_held()
        if self._held_bytes < HELD_HIGH_WATER_BYTES:
            self._socket.resume_reading()
        if is_binary:
            return {"type": "websocket.receive", "bytes": payload}
        return {"type": "websocket.receive", "text": payload.decode()}

    async def until_gone(self) -> dict[str, Any]:
        """What `receive` will say of the client's end, as soon as it is known: also behind
        messages that nobody takes in."""
        while self._end is None:
            await self._news.wait()
        return self._end

    async def send(self, message: dict[str, Any]) -> None:
        """Returns once the client has taken enough; at once, having done nothing, if it is gone."""
        if self._end is not None:
            return
        kind = message["type"]
        if kind == "websocket.send":
            self._send_message(message)
        elif kind == "websocket.close":
            self._close(message.get("code", 1000), message.get("reason") or "")
        elif kind == "websocket.accept" and self._socket.is_connecting:
            headers = {name.decode(): value.decode() for name, value in message.get("headers", ())}
            self._socket.accept(message.get("subprotocol"), headers)
        elif kind == "websocket.http.response.start" and self._socket.is_connecting:
            self._refusal = message["status"], list(message.get("headers", ()))
        elif kind == "websocket.http.response.body" and self._refusal is not None:
            self._refuse(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"{kind} is no message of a WebSocket in this state")
        while self._socket.blocked and self._end is None:
            await self._news.wait()

    def _send_message(self, message: dict[str, Any]) -> None:
        if not self._socket.is_established:
            raise RuntimeError("The WebSocket is not open")
        text, payload = message.get("text"), message.get("bytes")
        if text is not None:
            self._socket.sendMessage(text.encode(), False)
        else:
            self._socket.sendMessage(payload or b"", True)

    def _close(self, code: int, reason: str) -> None:
        if self._socket.is_connecting:
            self._socket.failHandshake("Access denied", 403)
        elif self._socket.is_established:
            self._let_go()
            self._socket.close(code, reason)

    def _let_go(self) -> None:
        """Of what nobody will take in."""
        self._messages.clear()
        self._held_bytes = 0
        self._socket.note_held()

    def _refuse(self, body: bytes, more: bool) -> None:
        assert self._refusal is not None  # noqa: S101 - `send` has looked
        self._refusal_body += body
        if not more:
            status, headers = self._refusal
            own = (
                (b"content-length", b"%d" % len(self._refusal_body)),
                (b"server", SERVER),
                (b"date", date(int(time.time()))),
                (b"connection", b"close"),
            )
            kept = [pair for pair in headers if pair[0].lower() not in _OF_THE_SERVER]
            self._socket.answer(answer_head(status, (*kept, *own)) + self._refusal_body)

    # How the application's call ends.

    async def _run(self) -> None:
        try:
            await self._served()
        finally:
            self._is_over = True
            self._let_go()

    async def _served(self) -> None:
        try:
            await self._server.application(self._scope(), self.receive, self.send)
        except asyncio.CancelledError:
            self._fail(503, GOING_AWAY, "Aurora is stopping", "stopping")
            raise
        except Exception:  # noqa: BLE001 - whatever the application raises, its client is told
            self._log("The application failed", exc_info=True)
        else:
            if self._end is not None or not (
                self._socket.is_established or self._socket.is_connecting
            ):
                return
            self._log("The application returned before its WebSocket was closed")
        self._fail(500, INTERNAL_ERROR, "Aurora failed to handle this call", "internal_error")

    def _log(self, message: str, exc_info: bool = False) -> None:
        fields = {"request_id": self.request_id, "path": self._head.raw_path.decode("ascii")}
        logger.error(message, exc_info=exc_info, extra={"fields": fields})

    def _fail(self, status: int, code: int, message: str, error_code: str) -> None:
        if self._end is not None:
            return
        if self._socket.is_connecting:
            self._refusal = status, [JSON, (b"x-request-id", self.request_id.encode())]
            self._refusal_body = b""
            self._refuse(error_body(message, "server_error", error_code), more=False)
        elif self._socket.is_established:
            self._socket.close(code, message)
