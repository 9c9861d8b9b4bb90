"""Turns of the loop: whatever comes at once, for one caller or from one server, other calls go on."""

from __future__ import annotations

import time

TURN_SECONDS = 0.002
"""Of work for one call: then it is the others' turn."""


class Turns:
    """Counts what is done for one call. Whoever does it gives the loop back where `are_over`."""

    __slots__ = ("_began", "_spent_seconds")

    def __init__(self) -> None:
        self._began = self._spent_seconds = 0.0

    def begin(self) -> None:
        self._began = time.perf_counter()

    def are_over(self) -> bool:
        """Whether what was done since `begin`, or since this was last true, was enough at a time."""
        now = time.perf_counter()
        self._spent_seconds += now - self._began
        self._began = now
        if self._spent_seconds <= TURN_SECONDS:
            return False
        self._spent_seconds = 0.0
        return True
