"""A native stream that goes out as it comes, and can still be ended by an event with its number.

Nothing is read of it but its last bytes, and these only if it breaks off. Pure.
"""

from __future__ import annotations

import re

from gateway import dialects, sse
from gateway.dialects import Dialect
from gateway.errors import GatewayError

KEPT_BYTES = 4096
"""A server writes an event's number behind all else that may be long."""
_NUMBERS = re.compile(rb'(?<!\\)"sequence_number":\s*(\d{1,18})')


class Numbered:
    """An EventStream: the untouched one of the Responses dialect."""

    __slots__ = ("_last", "_tail")

    ping = b""
    error: GatewayError | None = None
    is_over = reads_events = False
    held_bytes = 0

    def __init__(self) -> None:
        self._tail, self._last = sse.Tail(), b""

    def feed(self, piece: bytes) -> bytes:
        self._tail.feed(piece)
        size = KEPT_BYTES
        self._last = piece[-size:] if len(piece) >= size else (self._last + piece)[-size:]
        return piece

    def end(self) -> bytes:
        return b""

    def broken(self, error: GatewayError) -> bytes:
        numbers = _NUMBERS.findall(self._last)
        following = int(numbers[-1]) + 1 if numbers else 0
        return self._tail.closing() + dialects.event(error, Dialect.RESPONSES, following)
