"""How many calls may be sent once more: a share of all, so that a dying fleet is not beaten to
death by repeats, and a small reserve, so that a quiet one may lose a server. Pure."""

from __future__ import annotations

RESERVE = 100.0
REFILL_PER_SECOND = 10.0
"""Of the reserve."""
WINDOW_CALLS = 10_000
"""The share of so many calls can be saved up."""


class Budget:
    """`share` of the calls may be repeated, from 0 (none is, nor is there a reserve) to 1."""

    def __init__(self, share: float, now: float) -> None:
        self._share = share
        self._most_saved = share * WINDOW_CALLS
        self._reserve = RESERVE if share else 0.0
        self._saved, self._at = 0.0, now

    def earn(self) -> None:
        """A call came in."""
        self._saved = min(self._saved + self._share, self._most_saved)

    def spend(self, now: float) -> bool:
        """Whether one may be sent once more."""
        if not self._share:
            return False
        self._reserve = min(RESERVE, self._reserve + (now - self._at) * REFILL_PER_SECOND)
        self._at = now
        if self._saved >= 1:
            self._saved -= 1
        elif self._reserve >= 1:
            self._reserve -= 1
        else:
            return False
        return True
