"""Headers -> Caller. A key is known by its digest; nothing here compares secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import Unauthorized
from gateway.headers import Headers, first
from providers import secrets
from providers.snapshot import KeyEntry, Snapshot


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the key that was shown, never its secret."""

    key: KeyEntry

    @property
    def is_master(self) -> bool:
        return self.key.is_master


def authenticate(headers: Headers, snapshot: Snapshot) -> Caller:
    """The caller that `headers` name. Raises Unauthorized with what is missing or wrong.

    The secret is looked up by its HMAC, whose key nobody outside knows, so the time the look-up
    takes tells nothing of any stored digest. An unknown and an expired key are worded alike.
    """
    now = datetime.now(UTC)
    for digest in secrets.digests(_secret(headers)):
        key = snapshot.keys.get(digest)
        if key is not None and key.is_usable(now):
            return Caller(key)
    raise Unauthorized("This key is not known here, or no longer valid.")


def _secret(headers: Headers) -> str:
    """`Authorization: Bearer`, its scheme in any case (RFC 9110, 11.1), else `x-api-key`."""
    authorization = first(headers, b"authorization")
    if authorization is None:
        secret = first(headers, b"x-api-key") or b""
    else:
        scheme, _, secret = authorization.strip().partition(b" ")
        if scheme.lower() != b"bearer":
            raise Unauthorized("Only `Authorization: Bearer <key>` is understood.")
    secret = secret.strip()
    if not secret:
        raise Unauthorized("A key is needed: send `Authorization: Bearer <key>`.")
    if len(secret) > secrets.MOST_CALLER_KEY_CHARACTERS:
        raise Unauthorized("This key is not known here, or no longer valid.")
    return secret.decode("latin-1")
