"""Secrets that somebody chose: those too easy to guess, and those that the documentation shows."""

from __future__ import annotations

from collections.abc import Mapping

from aurora_site.environment.cleaning import parts
from providers import secrets

LEAST_CHARACTERS = 16
LEAST_DIFFERENT = 6
WEAK = (
    f"it may be guessed: a key has at least {LEAST_CHARACTERS} characters, {LEAST_DIFFERENT} of them"
    " different, and does not repeat one short piece; `openssl rand -hex 32` makes one"
)
MASTER_KEYS = frozenset(
    {"choose-your-own", "sk-aurora-0123456789abcdef", "change-me-to-something-long"}
)
"""Those of the README, with which its blocks start as they stand there."""
EXAMPLES: Mapping[str, frozenset[str]] = {
    "AURORA_MASTER_KEY": MASTER_KEYS,
    "AURORA_ADMIN_PASSWORD": frozenset({"choose-your-own-too"}),
    "AURORA_SECRET_KEYS": frozenset({"choose-32-or-more-random-characters"}),
}


def is_weak(key: str) -> bool:
    """Whether a master key may be guessed. One that the documentation shows is not judged here."""
    if key in MASTER_KEYS:
        return False
    return len(_unrepeated(key)) < LEAST_CHARACTERS or len(set(key)) < LEAST_DIFFERENT


def warnings(environ: Mapping[str, str]) -> list[str]:
    """A sentence for each variable that holds a secret of the documentation. None is repeated."""
    return [
        f"{name}: WARNING: it holds an example of the documentation, which everybody knows: whoever"
        " reaches this port may use it. Choose your own; `openssl rand -hex 32` makes one"
        for name, examples in EXAMPLES.items()
        if examples.intersection(parts(environ.get(name, "")))
    ]


def example_digests() -> list[str]:
    """By which keys that the documentation shows are known."""
    return [digest for key in MASTER_KEYS for digest in secrets.digests(key)]


def _unrepeated(key: str) -> str:
    """The piece that `key` repeats from its beginning to its end, once and a half at least; all of
    it if it repeats none."""
    lengths = range(1, len(key) * 2 // 3 + 1)
    return next((key[:n] for n in lengths if key[n:] == key[: len(key) - n]), key)
