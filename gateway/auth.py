"""Headers -> Caller. A key is known by its digest; nothing here compares secrets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import NotPermitted, Unauthorized
from gateway.headers import Headers
from providers import key_headers, key_kinds, secrets
from providers.secrets import MOST_CALLER_KEY_CHARACTERS
from providers.snapshot import KeyEntry, Snapshot


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the key that was shown, never its secret."""

    key: KeyEntry

    @property
    def is_master(self) -> bool:
        return self.key.is_master


def authenticate(headers: Headers, snapshot: Snapshot) -> Caller:
    """The caller that `headers` name. Raises Unauthorized with what is missing or wrong, and
    NotPermitted where the only good key is none for calls.

    A secret is looked up by its HMAC, whose key nobody outside knows, so the time the look-up takes
    tells nothing of any stored digest. An unknown and an expired key are worded alike.
    """
    shown = key_headers.secrets(headers)
    found = usable_keys(shown, snapshot)
    key = next((key for key in found if key.may_call), None)
    if key is not None:
        return Caller(key)
    if found:
        raise NotPermitted(key_kinds.NO_CALLS)
    raise Unauthorized(key_headers.UNKNOWN if shown else key_headers.why_none(headers))


def is_usable_key(text: str, snapshot: Snapshot) -> bool:
    """Whether `text` is the secret of a key that `snapshot` knows."""
    if len(text) > MOST_CALLER_KEY_CHARACTERS:
        return False
    return any(digest in snapshot.keys for digest in secrets.digests(text))


def usable_keys(shown: Iterable[str], snapshot: Snapshot) -> list[KeyEntry]:
    """The good keys among the secrets, in their order."""
    now = datetime.now(UTC)
    found = (snapshot.keys.get(digest) for each in shown for digest in secrets.digests(each))
    return [key for key in found if key is not None and key.is_usable(now)]
