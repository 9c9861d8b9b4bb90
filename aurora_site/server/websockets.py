"""A WebSocket's wire: autobahn's protocol with bounded buffers both ways, and prompt ends.

`sessions.Session` is the application's side of it.
"""

from __future__ import annotations

import logging
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred

from aurora_site.server.answers import refusal
from aurora_site.server.head import Head
from aurora_site.server.room import Seat, Use
from aurora_site.server.sessions import NO_CODE, Session

if TYPE_CHECKING:
    from aurora_site.server.connection import Connection
    from aurora_site.server.serving import Server

MOST_MESSAGE_BYTES = 16 * 1024 * 1024
FREE_FRAGMENTS, BYTES_A_FRAGMENT = 16 * 1024, 64
"""Of one message: so many may be of any size, and the others must hold so much on average."""
LEAST_PART_BYTES, MOST_PART_BYTES = 2 * 1024, 64 * 1024
"""Of what one read brings, before the clock is looked at: more where the parts before took less."""
FREE_BYTES = 64 * 1024
"""Of messages, for each client: more is counted."""
TRY_AGAIN_LATER = 1013
MOST_ARRIVED_BYTES = 256 * 1024
"""Not parsed yet: more is not read."""
TURN_SECONDS = 0.002
"""Of processor time for one client: then it is the others' turn."""
CLOSING_SECONDS = 5.0
"""What a client gets to answer a Close, counted from the last byte that it took."""
ABNORMAL_CODE = 1006
POLICY_VIOLATION = 1008
MOST_REASON_BYTES = 123  # RFC 6455, 5.5
# All that autobahn is shown of a request: the rest, a key among the subprotocols perhaps, is not
# to be found in its messages.
_OF_THE_HANDSHAKE = frozenset(
    (b"host", b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version")
)

logger = logging.getLogger("aurora.server")


class WebSocket(WebSocketServerProtocol):
    """One client's WebSocket. `blocked` is true while the transport holds more unsent bytes than it
    wants to.

    Daphne's own protocol queues whatever comes, both ways, and says nothing of how a client closed.
    """

    transport: Any

    def begin(self, server: Server, seat: Seat, session: Session) -> None:
        self._server, self._seat, self.session = server, seat, session
        seat.holder = self
        seat.turn_to(Use.WEBSOCKET)
        self.blocked = False
        self._paused_fd: int | None = None
        self._owed_pong: bytes | None = None
        self._handshake: Deferred[Any] | None = None
        self._early = self._arrived = b""
        self._part_bytes = LEAST_PART_BYTES
        self._message, self._counted_bytes = bytearray(), 0
        now = server.clock()
        self._heard_at, self._taken_at, self._unsent_bytes = now, now, 0
        self._pinged, self._closing_at = False, 0.0

    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.registerProducer(self, True)

    @property
    def is_established(self) -> bool:
        return bool(self.state == self.STATE_OPEN)

    @property
    def is_connecting(self) -> bool:
        return bool(self.state == self.STATE_CONNECTING)

    # The handshake.

    def onConnect(self, request: Any) -> Any:
        """Nothing is read until the application has decided."""
        self._handshake = Deferred()
        self.pause_reading()
        self.session.start()
        return self._handshake

    def keep_early(self, data: bytes) -> None:
        """What came behind the head, before the client could know that it may send."""
        self._early = data

    def accept(self, subprotocol: str | None, headers: dict[str, str]) -> None:
        if self._handshake is None:
            return
        self.websocket_protocols = [subprotocol] if subprotocol is not None else []
        handshake, self._handshake = self._handshake, None
        handshake.callback((subprotocol, headers))
        early, self._early = self._early, b""
        self.resume_reading()
        if early:
            self.dataReceived(early)

    def answer(self, data: bytes) -> None:
        """Answer as HTTP does: there will be no WebSocket."""
        self._handshake = None
        self.sendData(data)
        self.dropConnection()

    def sendHttpErrorResponse(self, code: int, reason: str, responseHeaders: Any = None) -> None:
        extra = [(name.encode(), value.encode()) for name, value in responseHeaders or ()]
        message = "No WebSocket is served here." if code == HTTPStatus.FORBIDDEN else reason
        request_id = self.session.request_id
        fields = {"request_id": request_id, "status": code, "reason": message}
        logger.info("Refused a WebSocket: %s", message, extra={"fields": fields})
        self.sendData(refusal(code, message, request_id, extra, now=int(time.time())))

    # Reading.

    def dataReceived(self, data: bytes) -> None:
        """In turns of the loop: a client may send a frame for each byte."""
        self._heard_at, self._pinged = self._server.clock(), False
        if len(data) <= LEAST_PART_BYTES and not self._arrived:
            super().dataReceived(data)
        elif self._arrived:
            self._arrived += data
            if len(self._arrived) > MOST_ARRIVED_BYTES:
                self.transport.pauseProducing()
        else:
            self._arrived = data
            self._parse_some()

    def _parse_some(self) -> None:
        spent_seconds = 0.0
        while self._arrived and spent_seconds < TURN_SECONDS:
            spent_seconds += self._parse_part()
        if not self.transport.connected:
            self._arrived = b""
        elif self._arrived:
            self._server.loop.call_soon(self._parse_some)
        elif self._paused_fd is None:
            self.transport.resumeProducing()

    def _parse_part(self) -> float:
        """How many seconds of processor time it took."""
        began, size = time.thread_time(), self._part_bytes
        part, self._arrived = self._arrived[:size], self._arrived[size:]
        super().dataReceived(part)
        seconds = time.thread_time() - began
        if seconds > TURN_SECONDS:
            self._part_bytes = max(LEAST_PART_BYTES, size // 2)
        elif seconds < TURN_SECONDS / 8:
            self._part_bytes = min(MOST_PART_BYTES, size * 2)
        return seconds

    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)
        self._message = bytearray()
        self._fragment_budget_bytes = FREE_FRAGMENTS * BYTES_A_FRAGMENT

    def onMessageFrameBegin(self, length: int) -> None:
        super().onMessageFrameBegin(length)
        self._fragment_budget_bytes += length - BYTES_A_FRAGMENT
        if self._fragment_budget_bytes < 0 and not self.failedByMe:
            self._fail_connection(POLICY_VIOLATION, "a message in too many small fragments")

    def onMessageFrameData(self, payload: bytes) -> None:
        """autobahn keeps a list of all fragments, which costs far more than their bytes."""
        if not self.failedByMe:
            self._message += payload
            if len(self._message) > FREE_BYTES:
                self.note_held()

    def onMessageEnd(self) -> None:
        if self.is_established:
            self.session.feed(bytes(self._message), self.message_is_binary)
        self._message = bytearray()
        self.note_held()

    def note_held(self) -> None:
        """Count what is held of its messages. A client for whose there is no memory is let go."""
        held = len(self._message) + self.session.held_bytes
        counted = held if held > FREE_BYTES else 0
        if counted == self._counted_bytes:
            return
        if self._server.hold(self._counted_bytes, counted):
            self._counted_bytes = counted
        elif not self.failedByMe:
            self._message = bytearray()
            self._fail_connection(TRY_AGAIN_LATER, "Aurora holds as much as it may.")

    def onPing(self, payload: bytes) -> None:
        """Only the newest ping of a client that does not read is owed an answer (RFC 6455, 5.5.3)."""
        if self.blocked:
            self._owed_pong = payload
        else:
            self.sendPong(payload)

    def pause_reading(self) -> None:
        """Stop taking bytes; that the client leaves is still noticed."""
        if self._paused_fd is None and self.transport.connected:
            self.transport.pauseProducing()
            self._paused_fd = self.transport.fileno()
            self._server.hangups.watch(self._paused_fd, self.abort)

    def resume_reading(self) -> None:
        if self._paused_fd is not None:
            self._forget_pause()
            self._heard_at, self._pinged = self._server.clock(), False
            if len(self._arrived) <= MOST_ARRIVED_BYTES:  # else `_parse_some` resumes
                self.transport.resumeProducing()

    def _forget_pause(self) -> None:
        if self._paused_fd is not None:
            self._server.hangups.forget(self._paused_fd)
            self._paused_fd = None

    # Writing.

    def pauseProducing(self) -> None:
        self.blocked = True

    def resumeProducing(self) -> None:
        self.blocked = False
        self.session.wake()
        payload, self._owed_pong = self._owed_pong, None
        if payload is not None:
            self.sendPong(payload)

    def stopProducing(self) -> None:
        """The transport is closing: connectionLost follows."""

    # Ends.

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; what the client still sends is not kept."""
        if code == NO_CODE:
            self.sendCloseFrame()
        else:
            told = reason.encode()[:MOST_REASON_BYTES].decode(errors="ignore")
            self.sendCloseFrame(code=code, reasonUtf8=told.encode())
        self.resume_reading()

    def onCloseFrame(self, code: Any, reasonRaw: Any) -> bool | None:
        """The application is told at once, whether or not the client takes what it still gets."""
        discontinue: bool | None = super().onCloseFrame(code, reasonRaw)
        told = self.localCloseCode if self.failedByMe else self.remoteCloseCode
        self.session.end(NO_CODE if told is None else told, self.remoteCloseReason or "")
        return discontinue

    def _fail_connection(self, code: int = 1001, reason: str = "going away") -> None:
        super()._fail_connection(code, reason)
        self.session.end(code, reason)

    def dropConnection(self, abort: bool = False) -> None:
        """After a complete closing handshake the last bytes are sent, where autobahn would not."""
        self._forget_pause()
        super().dropConnection(abort=abort and not self.wasClean)

    def make_room(self) -> None:
        """End for the sake of others, whose address has fewer connections."""
        self._give_up("A WebSocket made room for other clients")

    def abort(self) -> None:
        self._forget_pause()
        self.transport.abortConnection()

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._forget_pause()
        self._server.websockets.discard(self)
        self._message = bytearray()
        self.note_held()
        self._seat.leave()
        self.blocked = False
        self.session.end(ABNORMAL_CODE, "")

    # Deadlines: the server looks at all of them about once a second.

    def expire(self, now: float) -> None:
        unsent = self._count_unsent(now)
        if not (self.is_established or self.is_connecting):
            self._closing_at = self._closing_at or now
            if now - max(self._closing_at, self._taken_at if unsent else 0) > CLOSING_SECONDS:
                self.abort()
        elif unsent:
            if now - self._taken_at > self._server.client_stall_seconds:
                self._give_up("A client took nothing for too long")
        elif self.is_established and self._paused_fd is None:
            self._keep_alive(now)

    def _count_unsent(self, now: float) -> int:
        transport = self.transport
        unsent = len(transport.dataBuffer) - transport.offset + transport._tempDataLen
        if not unsent or unsent < self._unsent_bytes:
            self._taken_at = now
        self._unsent_bytes = unsent
        return int(unsent)

    def _keep_alive(self, now: float) -> None:
        quiet_seconds = now - self._heard_at
        if quiet_seconds > 2 * self._server.ping_seconds:
            self._give_up("A client answered no ping")
        elif quiet_seconds > self._server.ping_seconds and not self._pinged:
            self._pinged = True
            self.sendPing()

    def _give_up(self, message: str) -> None:
        logger.info(message, extra={"fields": {"request_id": self.session.request_id}})
        self.abort()


def websocket_factory(server: Server) -> WebSocketServerFactory:
    factory = WebSocketServerFactory(server=server.server_name)
    factory.noisy = False
    factory.protocol = WebSocket
    factory.setProtocolOptions(
        allowNullOrigin=True,
        openHandshakeTimeout=0,  # the head is here; how long the application takes is its affair
        closeHandshakeTimeout=0,  # `expire` looks to that
        failByDrop=False,
        echoCloseCodeReason=True,
        maxMessagePayloadSize=MOST_MESSAGE_BYTES,
        maxFramePayloadSize=MOST_MESSAGE_BYTES,
    )
    return factory


def upgrade(connection: Connection, head: Head, rest: bytes) -> None:
    """Hand the connection's transport over to a WebSocket, with what came behind the head."""
    server, transport = connection.server, connection.transport
    socket = server.ws_factory.buildProtocol(None)
    socket.begin(
        server,
        connection.seat,
        Session(socket, head, server, connection.client, connection.address),
    )
    server.websockets.add(socket)
    transport.protocol = socket
    socket.makeConnection(transport)
    socket.keep_early(rest)
    socket.dataReceived(_handshake(head))


def _handshake(head: Head) -> bytes:
    lines = [b"GET / HTTP/" + head.http_version.encode()]
    lines += [b": ".join(pair) for pair in head.headers if pair[0] in _OF_THE_HANDSHAKE]
    return b"\r\n".join(lines) + b"\r\n\r\n"
