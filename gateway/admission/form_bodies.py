"""What a form's body may cost to read. No I/O."""

from __future__ import annotations

from gateway.errors import BodyTooLarge
from gateway.headers import Headers, first

URL_ENCODED = b"application/x-www-form-urlencoded"
MOST_ESCAPES = 65_536
"""`%` in a URL-encoded form. Each takes Python 0.3 µs, by which a form of 2 MiB takes most of a
second; other forms take some 20 ms."""


def check(headers: Headers, body: bytes) -> None:
    """Raises BodyTooLarge."""
    media_type = first(headers, b"content-type") or b""
    if media_type.strip().lower().startswith(URL_ENCODED) and body.count(b"%") > MOST_ESCAPES:
        raise BodyTooLarge(f"A form may hold {MOST_ESCAPES} percent signs at most.")
