"""Bodies that come packed (Content-Encoding; RFC 9110, 8.4.1; RFC 8878): packed bytes to plain ones. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping

import zstandard

from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedEncoding
from gateway.headers import Headers, first

ZSTD_WINDOW_BYTES = 8 * 2**20
"""The most that a sender may ask for (RFC 9659)."""
_EITHER_HEADER = zlib.MAX_WBITS | 32
"""gzip's or zlib's, whichever is there: `deflate` means zlib (RFC 9110, 8.4.1.2)."""


def encoding_of(headers: Headers) -> str:
    """The encoding to unpack, or "" for a plain body. Raises UnsupportedEncoding."""
    given = (first(headers, b"content-encoding") or b"").decode("latin-1").strip().lower()
    if given in {"", "identity"}:
        return ""
    if given not in UNPACK:
        raise UnsupportedEncoding(
            f"A body may be packed by one of {', '.join(UNPACK)}, or come as it is."
        )
    return given


def unpacked(body: bytes, encoding: str, most_bytes: int) -> bytes:
    """Takes up to a second for the largest bodies: not to be called on the loop.

    Raises BodyTooLarge where more than `most_bytes` come out, and InvalidRequest where `body` is
    not packed as `encoding` says, or breaks off.
    """
    try:
        plain = UNPACK[encoding](body, most_bytes)
    except (zlib.error, zstandard.ZstdError, EOFError):
        raise InvalidRequest(f"The body is not packed by {encoding}, or breaks off.") from None
    if len(plain) > most_bytes:
        raise BodyTooLarge(f"The body may have {most_bytes} bytes at most, unpacked.")
    return plain


def _inflate(body: bytes, most_bytes: int) -> bytes:
    """More than `most_bytes` is given back where there is more."""
    unpacker = zlib.decompressobj(_EITHER_HEADER)
    plain = unpacker.decompress(body, most_bytes + 1)
    if len(plain) <= most_bytes and (not unpacker.eof or unpacker.unused_data):
        raise EOFError
    return plain


def _unzstd(body: bytes, most_bytes: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    with unpacker.stream_reader(body, read_across_frames=False) as reader:
        plain: bytes = reader.read(most_bytes + 1)
    if len(plain) <= most_bytes and not _is_whole(body, len(plain)):
        raise EOFError
    return plain


def _is_whole(body: bytes, plain_bytes: int) -> bool:
    """Whether `body` is one frame to its end: the reader takes one that breaks off for whole."""
    unpacker = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES).decompressobj()
    unpacker.decompress(body)
    return unpacker.eof and not unpacker.unused_data


UNPACK: Mapping[str, Callable[[bytes, int], bytes]] = {
    "gzip": _inflate,
    "x-gzip": _inflate,
    "deflate": _inflate,
    "zstd": _unzstd,
}
