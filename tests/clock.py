"""Time that passes when a test says so."""

from __future__ import annotations


class Clock:
    """Hardly moves, but for what a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        self.now += 1e-6  # no two moments are the same
        return self.now

    def let_pass(self, seconds: float) -> None:
        self.now += seconds
