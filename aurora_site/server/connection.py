"""One client's connection: bytes to heads and bodies, one exchange at a time, in order.

Reading is paused, rather than anything kept, when the application or the client does not keep up.
"""

from __future__ import annotations

import logging
import math
import time
import uuid
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.web.http import HTTPChannel, _IdentityTransferDecoder
from zope.interface import implementer

from aurora_site import tcp
from aurora_site.server.answers import refusal
from aurora_site.server.chunks import BadChunks, ChunkedBody
from aurora_site.server.exchange import Exchange, Waiters
from aurora_site.server.head import BadHead, parse_head
from aurora_site.server.room import Use
from aurora_site.server.websockets import upgrade

MAX_HEAD_BYTES = 64 * 1024
PIPELINED_BYTES = 16 * 1024
# After an early answer the client may go on sending for so long, to be able to read the answer.
LINGER_SECONDS = 10
LINGER_BYTES = 64 * 1024 * 1024
DIRECT_WRITE_BYTES = 128 * 1024
STALL_CHECKS = 4
# Each read of a body costs about as much as the bytes of a large one. Where reads bring less than so
# much on average, after so many, what comes is left to the system for a while, which joins it.
LEAST_READ_BYTES = 256
FREE_READS = 64
REST_SECONDS = 0.02

logger = logging.getLogger("aurora.server")


@implementer(IHalfCloseableProtocol)
class Connection(HTTPChannel):
    """Twisted's HTTP channel with its reading side replaced: an exchange starts at its head.

    `blocked` is true while the transport holds more unsent bytes than it wants to.
    """

    transport: Any
    factory: Any

    def connectionMade(self) -> None:
        self._networkProducer = self.transport
        self.server = self.factory.server
        self._set_tcp_options()
        self.transport.registerProducer(self, True)
        peer, host = self.transport.getPeer(), self.transport.getHost()
        self.client, self.address = (peer.host, peer.port), (host.host, host.port)
        self.loop = self.server.loop
        self.blocked = False
        self._drained = Waiters(self.loop)
        self._exchange: Exchange | None = None
        self._take: Callable[[bytes], None] = self._take_head
        self._arrived = bytearray()
        self._paused_fd: int | None = None
        self._spare_bytes, self._is_resting = LEAST_READ_BYTES * FREE_READS, False
        self._await_deadline(self.server.head_seconds, self._head_is_late)
        self.seat = self.server.room.enter(peer.host, self)
        self.server.connections_open.add(self)

    def _set_tcp_options(self) -> None:
        self.transport.setTcpNoDelay(True)
        handle = self.transport.getHandle()
        tcp.keep_alive(handle)
        if self.server.client_stall_seconds <= tcp.LOST_SECONDS:  # a longer setting stands
            tcp.expect_acknowledgement(handle)

    def dataReceived(self, data: bytes) -> None:
        self._take(data)

    # Reading: self._take is what the next bytes are given to.

    def _take_head(self, data: bytes) -> None:
        arrived = self._arrived
        if not arrived:
            self._await_deadline(self.server.head_seconds, self._head_is_late)
        searched = max(len(arrived) - 3, 0)
        arrived += data
        # One empty line before a request line is forgiven (RFC 9112 section 2.2).
        begin = 2 if arrived.startswith(b"\r\n") else 0
        end = arrived.find(b"\r\n\r\n", max(searched, begin))
        if (end if end >= 0 else len(arrived)) > MAX_HEAD_BYTES:
            self.refuse(431, f"The head is over {MAX_HEAD_BYTES} bytes")
        elif end >= 0:
            block, rest = bytes(arrived[begin:end]), bytes(arrived[end + 4 :])
            arrived.clear()
            self._begin(block, rest)
        elif len(arrived) > begin and not 0x20 < arrived[begin] < 0x7F:
            self.refuse(400, "This is not HTTP")
        else:
            self.seat.turn_to(Use.HEAD)

    def _begin(self, block: bytes, rest: bytes) -> None:
        try:
            head = parse_head(block)
        except BadHead as bad:
            self.refuse(bad.status, bad.message)
            return
        self._await_nothing()
        if head.websocket and head.body_bytes == 0:
            self.server.connections_open.discard(self)
            self.transport.unregisterProducer()
            upgrade(self, head, rest)
            return
        self.seat.turn_to(Use.CALL)
        self._exchange = exchange = Exchange(self, head)
        if head.body_bytes == 0:
            exchange.feed_end()
            self._take = self._take_pipelined
        else:
            self._decoder = self._decoder_for(exchange, head.body_bytes)
            self._take = self._take_body
        exchange.start()
        if rest:
            self._take(rest)
        if self._take == self._take_body:
            self.seat.turn_to(Use.UPLOAD)

    def _decoder_for(self, exchange: Exchange, body_bytes: int | None) -> Any:
        if body_bytes is None:
            return ChunkedBody(exchange.feed, self._body_ended)
        return _IdentityTransferDecoder(body_bytes, exchange.feed, self._body_ended)

    def _take_body(self, data: bytes) -> None:
        try:
            self._decoder.dataReceived(data)
        except BadChunks as bad:
            self._break_off(str(bad))
        spare = self._spare_bytes + len(data) - LEAST_READ_BYTES
        self._spare_bytes = min(spare, LEAST_READ_BYTES * FREE_READS)
        if spare < 0 and self._take == self._take_body:
            self._rest()

    def _rest(self) -> None:
        self.pause_reading()
        self._is_resting = True
        self.loop.call_later(REST_SECONDS, self._rested)

    def _rested(self) -> None:
        self._is_resting = False
        if self._exchange is None or not self._exchange.holds_enough:
            self.resume_reading()

    def _body_ended(self, rest: bytes) -> None:
        self._take = self._take_pipelined
        self.seat.turn_to(Use.CALL)
        if self._exchange is not None:
            self._exchange.feed_end()
        self.resume_reading()
        if rest:
            self._take_pipelined(rest)

    def _take_pipelined(self, data: bytes) -> None:
        self._arrived += data
        if len(self._arrived) > PIPELINED_BYTES:
            self.pause_reading()

    def _take_nothing(self, data: bytes) -> None:
        self._lingering_bytes -= len(data)
        if self._lingering_bytes < 0:
            self.close()

    def pause_reading(self) -> None:
        """Stop taking bytes; that the client leaves is still noticed."""
        if self._paused_fd is None:
            self.transport.pauseProducing()
            self._paused_fd = self.transport.fileno()
            self.server.hangups.watch(self._paused_fd, self._leave)

    def resume_reading(self) -> None:
        if self._paused_fd is not None and not self._is_resting:
            self._forget_pause()
            self.transport.resumeProducing()

    def _forget_pause(self) -> None:
        if self._paused_fd is not None:
            self.server.hangups.forget(self._paused_fd)
            self._paused_fd = None

    # Writing.

    def push(self, data: bytes) -> None:
        """Write, sparing the reactor a round where the socket takes it at once."""
        transport = self.transport
        idle = not (transport.dataBuffer or transport._tempDataLen)
        writable = transport.connected and not (transport.disconnecting or self.blocked)
        if idle and writable and len(data) <= DIRECT_WRITE_BYTES:
            sent = transport.writeSomeData(data)
            if sent == len(data):
                return
            if isinstance(sent, int):
                data = data[sent:]
        transport.write(data)

    async def until_drained(self) -> None:
        while self.blocked:
            await self._drained.wait()

    def pauseProducing(self) -> None:
        self.blocked = True
        self.seat.turn_to(Use.UNREAD)
        self._watch_stall()

    def resumeProducing(self) -> None:
        self._unblock()
        if self._exchange is None and self._take == self._take_pipelined:
            self._next()
        else:
            self.seat.turn_to(Use.UPLOAD if self._take == self._take_body else Use.CALL)

    def stopProducing(self) -> None:
        """The transport is closing: connectionLost follows."""

    def _unblock(self) -> None:
        self.blocked = False
        self._await_nothing()
        self._drained.wake()

    def _unsent(self) -> int:
        """The bytes that the system has not taken yet."""
        transport = self.transport
        return len(transport.dataBuffer) - transport.offset + transport._tempDataLen

    def _watch_stall(self) -> None:
        self._stalled_checks, self._unsent_bytes = 0, math.inf
        self._check_stall()

    def _check_stall(self) -> None:
        unsent = self._unsent()
        self._stalled_checks = 0 if unsent < self._unsent_bytes else self._stalled_checks + 1
        self._unsent_bytes = unsent
        if self._stalled_checks < STALL_CHECKS:
            self._await_deadline(self.server.client_stall_seconds / STALL_CHECKS, self._check_stall)
        else:
            logger.info("A client took nothing for too long", extra=self._fields())
            self.abort()

    # Ends.

    def exchange_done(self, exchange: Exchange) -> None:
        self._exchange = None
        if exchange.closes:
            self.close() if exchange.body_complete else self._linger()
        elif self._unsent():
            self._wait_until_sent()
        else:
            self._next()

    def _wait_until_sent(self) -> None:
        """The next request waits until the answer is with the system: `resumeProducing` goes on."""
        if not self.blocked:
            self.transport.producerPaused = True
            self.pauseProducing()

    def _next(self) -> None:
        if self.server.stopping:
            self.close()
            return
        self._take = self._take_head
        pipelined = bytes(self._arrived)
        self._arrived.clear()
        self.resume_reading()
        if pipelined:
            self._take_head(pipelined)
        else:
            self.seat.turn_to(Use.IDLE)
            self._await_deadline(self.server.keep_alive_seconds, self.close)

    def refuse(self, status: int, message: str, request_id: str = "") -> None:
        request_id = request_id or str(uuid.uuid4())
        fields = self._fields(request_id=request_id, status=status, reason=message)
        logger.info("Refused a request: %s", message, extra=fields)
        self.push(refusal(status, message, request_id, now=int(time.time())))
        self._linger()

    def _break_off(self, message: str) -> None:
        """The body cannot be read to its end; whether the client can be told depends on the answer."""
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        exchange.lose(message)
        if exchange.started:
            fields = self._fields(request_id=exchange.request_id, reason=message)
            logger.info("Broke off an answer: %s", message, extra=fields)
            self.abort()
        else:
            self.refuse(400, message, exchange.request_id)

    def _head_is_late(self) -> None:
        if self._arrived:
            self.refuse(408, "The request's head took too long")
        else:
            self.close()

    def _linger(self) -> None:
        """Say that nothing follows, then let the client send on for a while, unheard."""
        self._take = self._take_nothing
        self.seat.turn_to(Use.ENDING)
        self._lingering_bytes = LINGER_BYTES
        self._arrived.clear()
        self.transport.unregisterProducer()
        self.transport.loseWriteConnection()
        self.resume_reading()
        self._await_deadline(LINGER_SECONDS, self.close)

    def close(self) -> None:
        """Close once all is sent, or the client takes no more."""
        self._forget_pause()
        self._lingering_bytes = LINGER_BYTES
        self._take = self._take_nothing
        self.seat.turn_to(Use.UNREAD if self._unsent() else Use.ENDING)
        self._watch_stall()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def make_room(self) -> None:
        """End for the sake of others, at once but for an idle connection, of which nothing is cut."""
        if self._exchange is None and self._take == self._take_head and not self._arrived:
            self.close()
        else:
            self.abort()

    def close_if_idle(self) -> None:
        """Not where a request's head is on its way: it is still answered."""
        if self._exchange is None and self._take == self._take_head and not self._arrived:
            self.close()

    def abort(self) -> None:
        """End at once, so that no client takes what it got for a whole answer."""
        self._forget_pause()
        self.transport.abortConnection()

    def _leave(self) -> None:
        if self._exchange is not None:
            self._exchange.lose()
        self.abort()

    def readConnectionLost(self) -> None:
        """The client sends no more: within a body that is an error, otherwise it has left."""
        if self._take == self._take_body:
            self._break_off("The body ended before its length was reached")
        elif self._exchange is not None:
            self._exchange.lose()
        if self.transport is not None and self.transport.connected:
            self.close()

    def writeConnectionLost(self) -> None:
        """Our side of a lingering close."""

    def connectionLost(self, reason: Any = None) -> None:
        self.server.connections_open.discard(self)
        self.seat.leave()
        self._forget_pause()
        self._unblock()
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.lose()

    # Deadlines: the server looks at all of them about once a second; no timer a request.

    def _await_deadline(self, seconds: float, then: Callable[[], None]) -> None:
        self._deadline, self._at_deadline = self.server.clock() + seconds, then

    def _await_nothing(self) -> None:
        self._deadline = math.inf

    def expire(self, now: float) -> None:
        if self._deadline <= now:
            self._deadline = math.inf
            self._at_deadline()

    def _fields(self, **more: Any) -> dict[str, Any]:
        return {"fields": {"client": self.client[0], **more}}
