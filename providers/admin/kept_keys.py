"""Typed secrets that a page carries until its form is saved: sealed, for one session, for a while.

What is in the page opens in the session that it was sealed for, on the page that it was sealed
for, and until its time is over. To anybody else it is noise.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import msgspec

from providers import secrets

KEPT_SECONDS = 30 * 60
MOST_SEALED_CHARACTERS = 2**20
"""Of sealed text, as base64."""


class _Kept(msgspec.Struct):
    secret: str
    until: float


@dataclass(frozen=True, slots=True)
class Keeper:
    """Seals and opens for the session with the key `session`, and one of its pages."""

    session: str
    page: str

    def seal(self, secret: str) -> str:
        kept = _Kept(secret, time.time() + KEPT_SECONDS)
        return secrets.seal(msgspec.json.encode(kept).decode(), self._place)

    def open(self, sealed: str) -> str | None:
        """The secret; None where it was sealed for another, or its time is over."""
        try:
            kept = msgspec.json.decode(secrets.unseal(sealed, self._place), type=_Kept)
        except (secrets.Unopenable, msgspec.DecodeError):
            return None
        return kept.secret if self.session and time.time() < kept.until else None

    @property
    def _place(self) -> secrets.Place:
        return secrets.Place("session", self.session, f"typed on {self.page}")
