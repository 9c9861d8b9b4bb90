"""What of a request's head goes on to Django's part, whose parsers were made for smaller ones. No I/O.

Of some headers the time that they take grows with the square of their length: a Cookie of 60 kB with
backslashes took five seconds, a Content-Type with semicolons two.
"""

from __future__ import annotations

from gateway.errors import HeadTooLarge

MOST_TARGET_BYTES = 8 * 1024
"""Of the path with its query."""
MOST_HEADERS_BYTES = 32 * 1024
"""Proxies that sign people on add tokens of some kilobytes."""
MOST_HEADER_BYTES = 16 * 1024
MOST_MEDIA_TYPE_BYTES = 512
"""Of a value with parameters, such as the boundary of a form."""
OWN_COOKIES = b"aurora_"
"""How the names of Aurora's cookies begin. Their values hold no backslash."""

Pairs = list[tuple[bytes, bytes]]
_MEDIA_TYPES = frozenset({b"content-type", b"content-disposition"})


def checked(raw_path: bytes, query: bytes, headers: Pairs) -> Pairs:
    """The headers, without cookies of other programs on the same host. Raises HeadTooLarge."""
    if len(raw_path) + len(query) > MOST_TARGET_BYTES:
        raise HeadTooLarge(
            f"A path with its query may have {MOST_TARGET_BYTES} bytes at most here."
        )
    kept = [(name, own_cookies(value) if name == b"cookie" else value) for name, value in headers]
    for name, value in kept:
        most = MOST_MEDIA_TYPE_BYTES if name in _MEDIA_TYPES else MOST_HEADER_BYTES
        if len(value) > most:
            raise HeadTooLarge(f"A header of this kind may have {most} bytes at most here.")
    if sum(len(name) + len(value) for name, value in kept) > MOST_HEADERS_BYTES:
        raise HeadTooLarge(f"All headers may have {MOST_HEADERS_BYTES} bytes at most here.")
    return kept


def own_cookies(header: bytes) -> bytes:
    """A Cookie header's value with Aurora's own alone."""
    if OWN_COOKIES not in header:
        return b""
    pairs = (pair.strip() for pair in header.split(b";"))
    return b"; ".join(pair for pair in pairs if pair.startswith(OWN_COOKIES) and b"\\" not in pair)


def cookie(headers: Pairs, name: str) -> str:
    """The value of Aurora's own cookie of this name, or nothing."""
    wanted = name.encode()
    for header, value in headers:
        if header == b"cookie":
            for pair in own_cookies(value).split(b"; "):
                shown, _, held = pair.partition(b"=")
                if shown == wanted:
                    return held.decode("latin-1")
    return ""
