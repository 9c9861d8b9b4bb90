"""The keyring: the secrets from which every other key is derived, newest first.

A derived key serves one purpose (HKDF-SHA256, RFC 5869, the purpose as `info`), so what is made
for one purpose is of no use for another. New values are made with the newest secret; older ones
still open what was made with them.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from aurora_site.data_folder import DataFolder

FILE_NAME = "keyring"
WRITTEN_SECONDS = 1.0


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


def given(held: tuple[str, ...]) -> Keyring:
    """The keyring for an external database. One of this machine alone would lock out its replicas,
    so it must be given: BadKeyring otherwise."""
    if not held:
        raise BadKeyring(
            "AURORA_SECRET_KEYS: required with DATABASE_URL, the same for every process;"
            " `openssl rand -hex 32` makes one"
        )
    return Keyring(held)


def load(chosen: tuple[str, ...], folder: DataFolder) -> Keyring:
    """The keyring that was given, else the one in the data folder, made on the first start."""
    if chosen:
        return Keyring(chosen)
    path = folder.path / FILE_NAME
    try:
        if not path.exists():
            _create(path, folder.keyring_mode)
        held = _read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise BadKeyring(f"AURORA_DATA_DIR: {path} cannot be used: {error}") from error
    if not held:
        raise BadKeyring(
            f"AURORA_DATA_DIR: {path} is empty; restore it, or remove it to begin anew"
        )
    return Keyring(held)


def _create(path: Path, mode: int) -> None:
    """Write a new keyring, whose file is there whole or not at all where the file system can link,
    so that two processes starting at once share one."""
    text = secrets.token_hex(32) + "\n"
    draft = path.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
    _write(draft, text, mode)
    try:
        os.link(draft, path)  # fails where another process was first: then its keyring is the one
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        with suppress(FileExistsError):
            _write(path, text, mode)
    finally:
        draft.unlink()


def _write(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(text)


def _read(path: Path) -> tuple[str, ...]:
    """Another process may be between making the file and writing it."""
    end = time.monotonic() + WRITTEN_SECONDS
    while not (held := tuple(path.read_text(encoding="ascii").split())):
        if time.monotonic() > end:
            break
        time.sleep(0.05)
    return held
