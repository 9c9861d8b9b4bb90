"""Server-sent events on their way through: where one ends, what it says, and how a broken stream
is ended. Pure.

Framing follows the HTML standard, 9.2.6: a blank line ends an event; a line ends by LF, CR or CRLF.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MEDIA_TYPE = b"text/event-stream"
MOST_EVENT_BYTES = 16 * 2**20
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
MOST_AHEAD_BYTES = 1024
"""Of what a stream says before its first event."""
_ERROR_DATA = re.compile(rb'\s*\{\s*"error"')
_OPEN_ERROR_DATA = re.compile(rb'\s*(?:\{\s*(?:"(?:e(?:r(?:r(?:o(?:r)?)?)?)?)?)?)?')
"""The beginning of what the line above matches, for a line that is not all there yet."""
_TELLING = (b"data", b"event")
"""The fields that say whether an event is an error, in any dialect. Others may stand before them."""
_LINE_END = re.compile(rb"\r\n?|\n")
_COMMENTS = re.compile(rb"(?:\xef\xbb\xbf)?((?:(?::[^\r\n]*)?(?:\r\n|\n|\r(?=[^\n])))+)")
"""Whole lines without an event. Of a line end that is cut in two, only the next byte tells."""


def is_stream(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() == MEDIA_TYPE


def begins_with_error(beginning: bytes) -> bool | None:
    """Whether a stream that begins so, perhaps behind a comment, begins with an error, in any
    dialect; None where what comes next will tell. Take comments off by `comments_ahead` where more
    may come."""
    begun = beginning.removeprefix(BYTE_ORDER_MARK)
    *lines, last = _LINE_END.split(begun[:MOST_AHEAD_BYTES])
    for line in lines:
        if (is_error := _is_error(line)) is not None:
            return is_error
    if (is_error := _is_error_so_far(last)) is not None:
        return is_error
    return False if len(begun) > MOST_AHEAD_BYTES else None


def _is_error(line: bytes) -> bool | None:
    """None: this line does not tell."""
    field, _, value = line.partition(b":")
    if field == b"event":
        return value.strip() == b"error"
    return _ERROR_DATA.match(value) is not None if field == b"data" else None


def _is_error_so_far(line: bytes) -> bool | None:
    """The same of a line of which more may come."""
    field, colon, value = line.partition(b":")
    if not colon or field not in _TELLING:
        return None
    if field == b"event":
        name = value.strip()
        return True if name == b"error" else None if b"error".startswith(name) else False
    if _ERROR_DATA.match(value):
        return True
    return None if _OPEN_ERROR_DATA.fullmatch(value) else False


def comments_ahead(beginning: bytes) -> int:
    """How many bytes of a stream that begins so are comments, in whole lines, before any event."""
    ahead = _COMMENTS.match(beginning)
    return ahead.end() if ahead else 0


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

    @property
    def last(self) -> bytes:
        return self._last

    def closing(self) -> bytes:
        """What must come before the next event can begin: nothing at a boundary."""
        if not self._last or self._last.endswith(self.BOUNDARIES):
            return b""
        return b"\n" if self._last.endswith(b"\n") else b"\n\n"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `name` is empty where the stream gave none; `data` is its lines, joined by LF."""

    name: bytes
    data: bytes


class EventTooLong(ValueError):
    """An event is longer than anything a vLLM server sends."""


class Parser:
    """Bytes, cut anywhere, to whole events. It holds the bytes of one unfinished event at most.

    Comments, and events without data, are skipped, as the standard says. What is unfinished when
    the stream ends is no event.
    """

    __slots__ = ("_after_cr", "_begun", "_held", "_most_bytes")

    def __init__(self, most_bytes: int = MOST_EVENT_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held = bytearray()
        self._begun = self._after_cr = False

    @property
    def held_bytes(self) -> int:
        return len(self._held)

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes. Raises EventTooLong; nothing may be fed after that."""
        held = self._held
        searched = max(len(held) - 1, 0)
        held += self._with_line_feeds(chunk)
        if not self._begun and not self._skip_mark():
            return []
        end = held.rfind(b"\n\n", searched)
        if end < 0:
            blocks = b""
        else:
            blocks = bytes(held[:end])
            del held[: end + 2]
        if len(held) > self._most_bytes:
            raise EventTooLong(f"an event is longer than {self._most_bytes} bytes")
        return [event for block in blocks.split(b"\n\n") if (event := _event(block)) is not None]

    def _skip_mark(self) -> bool:
        """Whether the stream has begun in earnest: a byte order mark may stand before it."""
        if len(self._held) < len(BYTE_ORDER_MARK) and BYTE_ORDER_MARK.startswith(self._held):
            return False
        if self._held.startswith(BYTE_ORDER_MARK):
            del self._held[: len(BYTE_ORDER_MARK)]
        self._begun = True
        return True

    def _with_line_feeds(self, chunk: bytes) -> bytes:
        """`chunk` with every line end as LF; a CRLF may be cut in two."""
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" not in chunk:
            return chunk
        self._after_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _event(block: bytes) -> Event | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return Event(b"", block[6:])
    name, data = b"", []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return Event(name, b"\n".join(data)) if data else None


def event(data: bytes, name: bytes = b"") -> bytes:
    """One event. `data` holds no line breaks, as JSON that msgspec wrote does not."""
    if name:
        return b"event: " + name + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
