"""Server-sent events on their way through: where one ends, and how a broken stream is ended. Pure.

Framing follows the HTML standard, 9.2.6: a blank line ends an event; a line ends by LF, CR or CRLF.
"""

from __future__ import annotations

MEDIA_TYPE = b"text/event-stream"


def is_stream(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == MEDIA_TYPE


class Tail:
    """The last bytes of a stream: enough to tell whether an event is open. Three bytes of memory."""

    __slots__ = ("_last",)

    MOST_BYTES = 3
    BOUNDARIES = (b"\n\n", b"\r\r", b"\n\r", b"\n\r\n", b"\r\r\n")

    def __init__(self) -> None:
        self._last = b""

    def feed(self, chunk: bytes) -> None:
        size = self.MOST_BYTES
        self._last = chunk[-size:] if len(chunk) >= size else (self._last + chunk)[-size:]

    def closing(self) -> bytes:
        """What must come before the next event can begin: nothing at a boundary."""
        if not self._last or self._last.endswith(self.BOUNDARIES):
            return b""
        return b"\n" if self._last.endswith(b"\n") else b"\n\n"


def event(data: bytes) -> bytes:
    """One event. `data` holds no line breaks, as JSON that msgspec wrote does not."""
    return b"data: " + data + b"\n\n"
