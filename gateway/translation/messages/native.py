"""A server's own Messages stream. It is untouched but for an error within it. Pure.

vLLM words such an error with types that are not Anthropic's, or, where its engine died, in the
shape of a chat completion's; and it sends `[DONE]` behind it.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway import dialects, sse
from gateway.dialects import Dialect
from gateway.errors import GatewayError, UpstreamError
from gateway.refusals import MOST_MESSAGE_CHARACTERS
from gateway.translation.chat import NO_REASON, UNREADABLE

_BEGINS = re.compile(rb'(?:\A|\n\n)(event: error\n|data: \{"error")')


class NativeStream:
    """An EventStream. Of what comes after an error nothing goes to the client."""

    __slots__ = ("_mending", "_tail", "error")

    ping = b""
    reads_events = False

    def __init__(self) -> None:
        self._tail = sse.Tail()
        self._mending: sse.Parser | None = None
        self.error: GatewayError | None = None

    @property
    def is_over(self) -> bool:
        return self.error is not None

    @property
    def held_bytes(self) -> int:
        return 0 if self._mending is None else self._mending.held_bytes

    def feed(self, piece: bytes) -> bytes:
        if self._mending is not None:
            return self._mended(piece)
        begins = self._error_in(piece)
        if begins < 0:
            self._tail.feed(piece)
            return piece
        self._mending = sse.Parser()
        return piece[:begins] + self._mended(piece[begins:])

    def end(self) -> bytes:
        if self._mending is None or self.error is not None:
            return b""
        return self._ended(UpstreamError(NO_REASON))

    def broken(self, error: GatewayError) -> bytes:
        return b"" if self.error is not None else self._tail.closing() + self._ended(error)

    def _error_in(self, piece: bytes) -> int:
        """Where an event that tells of an error begins in `piece`, or -1."""
        if b"error" not in piece:
            return -1
        for found in _BEGINS.finditer(piece):
            if found.start(1) > 0 or not self._tail.closing():
                return found.start(1)
        return -1

    def _mended(self, piece: bytes) -> bytes:
        if self.error is not None or self._mending is None:
            return b""
        try:
            events = self._mending.feed(piece)
        except sse.EventTooLong:
            return self._ended(UpstreamError(NO_REASON))
        return self._ended(UpstreamError(_message(events[0].data))) if events else b""

    def _ended(self, error: GatewayError) -> bytes:
        self.error = error
        return dialects.event(error, Dialect.ANTHROPIC)


def _message(data: bytes) -> str:
    """What the server says, in either shape."""
    try:
        said: Any = msgspec.json.decode(data)
    except UNREADABLE:
        return NO_REASON
    error = said.get("error") if isinstance(said, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message[:MOST_MESSAGE_CHARACTERS] if isinstance(message, str) and message else NO_REASON
