"""A chunked body (RFC 9112, section 7.1): bytes cut anywhere to what they hold. Pure.

What one call is given is handed on in one piece, however many chunks it holds, and there may be only
so many chunks: each costs about as much as a kilobyte of a body that comes whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NoReturn

FREE_CHUNKS = 4096
"""So many may be of any size, as from a program that writes a small document piece by piece."""
BYTES_A_CHUNK = 64
"""What the others must hold on average. One chunk of each reading is free: live sound comes in small
chunks for hours, each by itself, and the reading costs more than the chunk."""
MOST_LINE_BYTES = 1024
"""Of a chunk's size with its extensions."""
FREE_EXTENSION_BYTES = 16 * 1024
EXTENSION_SHARE = 16
"""Beyond the free ones, one byte of extensions for so many of the body: as for a signature of each
chunk of a few kilobytes."""
MOST_TRAILER_BYTES = 8 * 1024

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})(;[\t\x20-\x7e\x80-\xff]*)?")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MOST_KNOWN_SIZES = 64


class BadChunks(ValueError):
    """The body cannot be read to its end. The text is for the client, and quotes nothing."""


class ChunkedBody:
    """Gives `feed` what the chunks hold, and `ended`, once, the bytes behind the last one."""

    def __init__(self, feed: Callable[[bytes], None], ended: Callable[[bytes], None]) -> None:
        self._feed, self._ended = feed, ended
        self._left_bytes = 0
        """Of the chunk that is on its way, its line end included."""
        self._unread = b""
        self._sizes: dict[bytes, int] = {}
        self._budget_bytes = FREE_CHUNKS * BYTES_A_CHUNK
        self._extension_bytes = FREE_EXTENSION_BYTES * EXTENSION_SHARE
        self._trailer_bytes: int | None = None

    def dataReceived(self, data: bytes) -> None:
        """Raises BadChunks. Nothing may follow once `ended` was called."""
        self._budget_bytes += BYTES_A_CHUNK
        if self._unread:
            data, self._unread = self._unread + data, b""
        held: list[bytes] = []
        at = 0 if self._trailer_bytes is not None else self._take_chunks(data, held)
        if held:
            self._feed(held[0] if len(held) == 1 else b"".join(held))
        if self._trailer_bytes is None:
            self._unread = data[at:]
        else:
            self._take_trailers(data, at)

    def _take_chunks(self, data: bytes, held: list[bytes]) -> int:
        """Put what they hold to `held`. Gives where the first byte is that could not be read yet."""
        at = self._take_rest_of_chunk(data, held)
        while at < len(data) and not self._left_bytes:
            line_end = data.find(b"\r\n", at, at + MOST_LINE_BYTES + 2)
            if line_end < 0:
                if len(data) - at > MOST_LINE_BYTES:
                    raise _malformed(f"the line of a chunk is over {MOST_LINE_BYTES} bytes long")
                return at
            line = data[at:line_end]
            size = self._sizes.get(line)
            if size is None:
                size = self._size(line)
            begin, end = line_end + 2, line_end + 2 + size
            if not size:
                self._trailer_bytes = 0
                return begin
            self._budget_bytes += size - BYTES_A_CHUNK
            if self._budget_bytes < 0:
                _refuse_small_chunks()
            if end + 2 <= len(data):
                if data[end : end + 2] != b"\r\n":
                    _refuse_end()
                held.append(data[begin:end])
                at = end + 2
            else:
                self._left_bytes = size + 2
                at = self._take_rest_of_chunk(data, held, begin)
        return at

    def _take_rest_of_chunk(self, data: bytes, held: list[bytes], at: int = 0) -> int:
        """Of the chunk on its way, which may be cut within its line end too."""
        left = self._left_bytes
        if not left:
            return at
        if left > 2:
            held.append(data[at : at + left - 2])
            taken = len(held[-1])
            at, left = at + taken, left - taken
        if left <= 2:
            line_end = data[at : at + left]
            if line_end != b"\r\n"[2 - left :][: len(line_end)]:
                _refuse_end()
            at, left = at + len(line_end), left - len(line_end)
        self._left_bytes = left
        return at

    def _size(self, line: bytes) -> int:
        """What a chunk's first line says."""
        matched = _SIZE.fullmatch(line)
        if matched is None:
            raise _malformed("the size of a chunk is no hexadecimal number")
        size = int(matched[1], 16)
        if matched[2] is not None:
            self._extension_bytes += size - len(matched[2]) * EXTENSION_SHARE
            if self._extension_bytes < 0:
                raise _malformed("the extensions of its chunks are too long")
        elif len(self._sizes) < _MOST_KNOWN_SIZES and size:
            self._sizes[line] = size
        return size

    def _take_trailers(self, data: bytes, at: int) -> None:
        """Nobody asked for these headers: they are checked and dropped."""
        assert self._trailer_bytes is not None  # noqa: S101 - the last chunk has come
        while (line_end := data.find(b"\r\n", at)) >= 0:
            line, at = data[at:line_end], line_end + 2
            if not line:
                self._ended(data[at:])
                return
            self._trailer_bytes += len(line) + 2
            if _CONTROL.search(line) or self._trailer_bytes > MOST_TRAILER_BYTES:
                break
        self._unread = data[at:]
        if self._trailer_bytes + len(self._unread) > MOST_TRAILER_BYTES or line_end >= 0:
            raise _malformed(f"its trailers are no headers, or over {MOST_TRAILER_BYTES} bytes")


def _malformed(reason: str) -> BadChunks:
    return BadChunks(f"The chunked body is malformed: {reason}")


def _refuse_end() -> NoReturn:
    raise _malformed("a chunk does not end where its size says")


def _refuse_small_chunks() -> NoReturn:
    raise BadChunks(
        f"The chunks of the body are too small: beyond the first {FREE_CHUNKS} they must hold"
        f" {BYTES_A_CHUNK} bytes on average"
    )
