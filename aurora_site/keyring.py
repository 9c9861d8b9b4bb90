"""The keyring: the secrets from which every other key is derived, newest first.

A derived key serves one purpose (HKDF-SHA256, RFC 5869, the purpose as `info`), so what is made
for one purpose is of no use for another. New values are made with the newest secret; older ones
still open what was made with them.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

FILE_NAME = "keyring"


class BadKeyring(ValueError):
    """There is no keyring to work with. The text says what to do."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """Secrets, newest first; never empty."""

    secrets: tuple[str, ...] = field(repr=False)

    def derived(self, purpose: str) -> tuple[bytes, ...]:
        """A 32-byte key for `purpose` from each secret, newest first."""
        return tuple(
            HKDF(SHA256(), 32, salt=None, info=b"aurora " + purpose.encode()).derive(s.encode())
            for s in self.secrets
        )

    def derived_texts(self, purpose: str) -> list[str]:
        return [key.hex() for key in self.derived(purpose)]


def load(given: tuple[str, ...], data_dir: Path, *, external_database: bool) -> Keyring:
    """The keyring that was given, else the one in the data folder, made on the first start.

    With an external database a keyring of this machine alone would lock out its replicas, so one
    must be given: BadKeyring otherwise.
    """
    if given:
        return Keyring(given)
    if external_database:
        raise BadKeyring(
            "AURORA_SECRET_KEYS: required with DATABASE_URL, the same for every process;"
            " `openssl rand -hex 32` makes one"
        )
    path = data_dir / FILE_NAME
    try:
        if not path.exists():
            _create(path)
        held = tuple(path.read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError) as error:
        raise BadKeyring(f"AURORA_DATA_DIR: {path} cannot be used: {error}") from error
    if not held:
        raise BadKeyring(
            f"AURORA_DATA_DIR: {path} is empty; restore it, or remove it to begin anew"
        )
    return Keyring(held)


def _create(path: Path) -> None:
    """Write a new keyring whole or not at all, so that two processes starting at once share one."""
    draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32) + "\n")
    try:
        os.link(draft, path)  # fails where another process was first: then its keyring is the one
    except FileExistsError:
        pass
    finally:
        draft.unlink()
