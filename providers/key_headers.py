"""Where a caller's key may stand in a request, for calls and for the management API alike. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from providers.secrets import MOST_CALLER_KEY_CHARACTERS

PLAIN = frozenset({b"x-api-key", b"api-key"})
"""Headers whose whole value is the key: Anthropic's clients send the one, Azure's the other."""
MOST_SECRETS = 4
"""Looked up of one request."""
UNKNOWN = "This key is not known here, or no longer valid."


def is_shown(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether `headers`, whose names are lower case, claim to hold a key, be it none."""
    return any(name == b"authorization" or name in PLAIN for name, _ in headers)


def secrets(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """What could be a key, in the order in which it came. Names in `headers` are lower case.

    A proxy, or a library with a default of its own, may have put a foreign key into another
    header: whichever holds a usable one suffices.
    """
    found = [
        _bearer(value) if name == b"authorization" else value.strip()
        for name, value in headers
        if name == b"authorization" or name in PLAIN
    ]
    kept = [secret for secret in found if 0 < len(secret) <= MOST_CALLER_KEY_CHARACTERS]
    return [secret.decode("latin-1") for secret in kept[:MOST_SECRETS]]


def why_none(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """What is wrong with headers that hold no secret."""
    for name, value in headers:
        if name == b"authorization" and value:
            long = len(_bearer(value)) > MOST_CALLER_KEY_CHARACTERS
            return UNKNOWN if long else "Only `Authorization: Bearer <key>` is understood."
    return "A key is needed: send `Authorization: Bearer <key>`."


def _bearer(authorization: bytes) -> bytes:
    """The scheme is of any case (RFC 9110, 11.1)."""
    scheme, _, secret = authorization.strip().partition(b" ")
    return secret.strip() if scheme.lower() == b"bearer" else b""
