"""Secrets at rest: sealed where they must come back, digested where they must only be known again.

A sealed value is AES-256-GCM (NIST SP 800-38D) under a key derived for this purpose, with the row
and field as associated data: copied to another row or field, it does not open.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from dataclasses import dataclass
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from aurora_site.keyring import Keyring

NONCE_BYTES = 12
KEY_PREFIX = "aurora-"
MOST_CALLER_KEY_CHARACTERS = 512
MOST_UPSTREAM_KEY_CHARACTERS = 4096


def check_upstream_key(key: str) -> None:
    """Raises ValueError, without repeating `key`, if it could not be sent in a header."""
    if len(key) > MOST_UPSTREAM_KEY_CHARACTERS:
        raise ValueError(f"a key has {MOST_UPSTREAM_KEY_CHARACTERS} characters at most")
    if any(not 0x21 <= ord(character) <= 0x7E for character in key):
        raise ValueError("a key has visible ASCII characters only, and no spaces")


class Unopenable(Exception):
    """No secret of the keyring opens this value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sealed value lives. It opens nowhere else."""

    table: str
    row: str
    field: str

    def bound(self) -> bytes:
        return "\0".join((self.table, self.row, self.field)).encode()


@cache
def _derived(keyring: Keyring, purpose: str) -> tuple[bytes, ...]:
    return keyring.derived(purpose)


def _keys(purpose: str) -> tuple[bytes, ...]:
    return _derived(settings.KEYRING, purpose)


def seal(text: str, place: Place) -> str:
    """`text` encrypted for `place`, as base64."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(_keys("seal")[0]).encrypt(nonce, text.encode(), place.bound())
    return base64.b64encode(nonce + sealed).decode()


def unseal(sealed: str, place: Place) -> str:
    """What `seal` was given. Raises Unopenable if the keyring or the place is another."""
    for key in _keys("seal"):
        try:
            raw = base64.b64decode(sealed)
            return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.bound()).decode()
        except (InvalidTag, ValueError):  # ValueError: never sealed, or cut short
            continue
    raise Unopenable(
        f"the {place.field} of {place.table} {place.row} was sealed with a lost keyring"
    )


def new_key() -> str:
    """A caller's secret: 256 random bits, recognisable by its prefix."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def digests(secret: str) -> tuple[str, ...]:
    """HMAC-SHA256 of `secret` under each keyring secret, newest first: what a key is known by."""
    return tuple(
        hmac.digest(key, secret.encode(errors="surrogateescape"), "sha256").hex()
        for key in _keys("digest")
    )


def hint(secret: str) -> str:
    """Enough of a secret to tell it from others, too little to guess it by."""
    return f"…{secret[-4:]}" if len(secret) >= 16 else "…"
