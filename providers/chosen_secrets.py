"""Secrets that somebody chose: those too easy to guess, and those that the documentation shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aurora_site.environment.cleaning import parts
from providers import secrets

LEAST_CHARACTERS = 16
LEAST_DIFFERENT = 6
WEAK = (
    f"it may be guessed: a key has at least {LEAST_CHARACTERS} characters, {LEAST_DIFFERENT} of them"
    " different, and does not repeat one short piece; `openssl rand -hex 32` makes one"
)
KEYRING = "AURORA_SECRET_KEYS"
MASTER_KEYS = frozenset(
    {"choose-your-own", "sk-aurora-0123456789abcdef", "change-me-to-something-long"}
)
"""Those of the README, with which its blocks start as they stand there."""
EXAMPLES: Mapping[str, frozenset[str]] = {
    "AURORA_MASTER_KEY": MASTER_KEYS,
    "AURORA_ADMIN_PASSWORD": frozenset({"choose-your-own-too"}),
    KEYRING: frozenset({"choose-32-or-more-random-characters"}),
}


def is_weak(key: str) -> bool:
    """Whether a master key may be guessed. One that the documentation shows is not judged here."""
    return key not in MASTER_KEYS and _may_be_guessed(key)


def warnings(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that holds a secret of the documentation, and for a keyring that
    may be guessed: it is not refused, since what is there could not be read without it. None is
    repeated."""
    known = [
        f"{name}: WARNING: it holds an example of the documentation, which everybody knows: whoever"
        " reaches this port may use it. Choose your own; `openssl rand -hex 32` makes one"
        for name, examples in EXAMPLES.items()
        if examples.intersection(parts(environ.get(name, "")))
    ]
    return [*known, *_weak_keyring(parts(environ.get(KEYRING, "")))]


def _weak_keyring(held: Sequence[str]) -> list[str]:
    if not any(map(_may_be_guessed, held)):
        return []
    return [
        f"{KEYRING}: WARNING: a secret of it may be guessed, and with it everybody's login and key"
        " forged. Put a new one before it; `openssl rand -hex 32` makes one"
    ]


def _may_be_guessed(secret: str) -> bool:
    return len(_unrepeated(secret)) < LEAST_CHARACTERS or len(set(secret)) < LEAST_DIFFERENT


def example_digests() -> list[str]:
    """By which keys that the documentation shows are known."""
    return [digest for key in MASTER_KEYS for digest in secrets.digests(key)]


def _unrepeated(key: str) -> str:
    """The piece that `key` repeats from its beginning to its end, once and a half at least; all of
    it if it repeats none."""
    lengths = range(1, len(key) * 2 // 3 + 1)
    return next((key[:n] for n in lengths if key[n:] == key[: len(key) - n]), key)
