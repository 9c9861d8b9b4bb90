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

_LINE_END = rb"(?:\r\n|\n|\r(?!\n))"
_AHEAD = re.compile(rb"(?:\xef\xbb\xbf)?(?:(?!event|data)[^\r\n]*(?:\r\n|\n|\r(?=[^\n])))*")
"""Lines that neither name an event nor are its data. Of a CRLF that is cut, the next byte tells."""
_NAME = re.compile(rb"event(?:: ?([^\r\n]*))?[\r\n]")
_OF_CHAT = re.compile(rb'\s*\{\s*"error"')
_ERROR_OF_CHAT = re.compile(rb'data:[ \t]*\{[ \t]*"error"')
_BOUNDARY = re.compile(_LINE_END + _LINE_END)
MOST_OPEN_BYTES = 16 * 2**10
"""Of an event of which it is not known yet whether it is an error. A longer one is none."""


class NativeStream:
    """An EventStream. Of what comes after an error nothing goes to the client.

    Of an event that begins with its name, as a server of this dialect has it, no more is held than
    the line of the name; one that begins with its data may be named behind them.
    """

    __slots__ = ("_held", "_is_passing", "_mending", "_tail", "error")

    ping = b""
    reads_events = False

    def __init__(self) -> None:
        self._tail = sse.Tail()
        self._held = b""
        self._is_passing = False  # within an event that is no error
        self._mending: sse.Parser | None = None
        self.error: GatewayError | None = None

    @property
    def is_over(self) -> bool:
        return self.error is not None

    @property
    def held_bytes(self) -> int:
        return len(self._held) + (0 if self._mending is None else self._mending.held_bytes)

    def feed(self, piece: bytes) -> bytes:
        if self._mending is not None:
            return self._mended(piece)
        data, self._held = self._held + piece, b""
        at = self._rest_of_event(data) if self._is_passing else 0
        while at < len(data) and not self._is_passing:
            at = _behind_lines_ahead(data, at)
            is_error = _is_error(data, at)
            if is_error is None:
                self._held = data[at:]
                break
            if is_error:
                self._mending = sse.Parser()
                return data[:at] + self._mended(data[at:])
            at = self._passed(data, at)
        self._tail.feed(data[:at])
        return data[:at]

    def end(self) -> bytes:
        if self._mending is None:
            held, self._held = self._held, b""
            return held
        return b"" if self.error is not None else self._ended(UpstreamError(NO_REASON))

    def broken(self, error: GatewayError) -> bytes:
        """What is held is of no whole event."""
        return b"" if self.error is not None else self._tail.closing() + self._ended(error)

    def _passed(self, data: bytes, at: int) -> int:
        """Where the event that begins at `at` ends, as far as it has come."""
        found = _BOUNDARY.search(data, at)
        self._is_passing = found is None
        return found.end() if found else len(data)

    def _rest_of_event(self, data: bytes) -> int:
        """As `_passed`, of an event that began before; the line end before its blank line may have."""
        before = self._tail.last
        found = _BOUNDARY.search(before + data)
        self._is_passing = found is None
        return max(found.end() - len(before), 0) if found else len(data)

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


def _behind_lines_ahead(data: bytes, at: int) -> int:
    ahead = _AHEAD.match(data, at)
    return ahead.end() if ahead else at


def _is_error(data: bytes, at: int) -> bool | None:
    """Whether the event at `at` is an error; None while what comes next will tell."""
    if named := _NAME.match(data, at):
        return (named[1] or b"").strip() == b"error"
    if _ERROR_OF_CHAT.match(data, at):
        return True
    if len(data) - at > MOST_OPEN_BYTES:
        return False
    whole = _BOUNDARY.search(data, at)
    if whole is None:
        return None
    events = sse.Parser().feed(data[at : whole.end()] + b"\n")
    return any(event.name == b"error" or _OF_CHAT.match(event.data) for event in events)


def _message(data: bytes) -> str:
    """What the server says, in either shape."""
    try:
        said: Any = msgspec.json.decode(data)
    except UNREADABLE:
        return NO_REASON
    error = said.get("error") if isinstance(said, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message[:MOST_MESSAGE_CHARACTERS] if isinstance(message, str) and message else NO_REASON
