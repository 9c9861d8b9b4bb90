"""Headers -> Caller. A key is known by its digest; nothing here compares secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import Unauthorized
from gateway.headers import Headers
from providers import key_headers, secrets
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

    A secret is looked up by its HMAC, whose key nobody outside knows, so the time the look-up takes
    tells nothing of any stored digest. An unknown and an expired key are worded alike.
    """
    now = datetime.now(UTC)
    shown = key_headers.secrets(headers)
    for secret in shown:
        for digest in secrets.digests(secret):
            key = snapshot.keys.get(digest)
            if key is not None and key.is_usable(now):
                return Caller(key)
    raise Unauthorized(key_headers.UNKNOWN if shown else key_headers.why_none(headers))
