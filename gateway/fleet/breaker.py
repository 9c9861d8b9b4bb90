"""A circuit breaker: from what became of calls to one server, whether more are sent there. Pure.

Closed: all are. Open: none is, for a while that doubles with each failed trial. Half-open: one
call may try. A server that refuses its key, or does not know its model, is open as misconfigured.
"""

from __future__ import annotations

import random
from enum import Enum

MOST_IN_A_ROW = 5
"""Failures, until it opens."""
WINDOW_SECONDS = 10.0
LEAST_CALLS = 20
"""In a window, for their share of failures to say anything."""
MOST_SHARE = 0.5
FIRST_OPEN_SECONDS = 2.0
MOST_OPEN_SECONDS = 30.0
MISCONFIGURED_SECONDS = 30.0
BESIDE = 0
"""The number of a call that is sent although none should be: only its success tells anything."""


class Breaking(Enum):
    """The value is what reports say."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    MISCONFIGURED = "misconfigured"


class Breaker:
    """Times are seconds of one clock that only grows, given by whoever asks."""

    __slots__ = (
        "_before", "_calls", "_era", "_failures", "_in_a_row", "_is_mixed", "_opened",
        "_trial_until", "_until", "_window_ends", "reason", "state",
    )  # fmt: skip

    def __init__(self) -> None:
        self.state = Breaking.CLOSED
        self.reason = ""
        """Why it is not closed."""
        self._era = BESIDE + 1
        """Grows with each change of state, and each trial."""
        self._in_a_row = self._opened = 0
        self._until = self._trial_until = 0.0
        self._window_ends = 0.0
        self._calls = self._failures = 0
        self._before = (0, 0)
        """Calls and failures of the window before."""
        self._is_mixed = False
        """Whether it opened though some calls succeeded."""

    def admits(self, now: float) -> bool:
        """Whether a call may be sent; see `enter`."""
        if self.state is Breaking.CLOSED:
            return True
        return now >= (self._trial_until if self.state is Breaking.HALF_OPEN else self._until)

    def seconds_left(self, now: float) -> float:
        """Until a call may try; while one does, FIRST_OPEN_SECONDS at most: it mostly ends long
        before another may."""
        if self.state is Breaking.CLOSED:
            return 0.0
        if self.state is Breaking.HALF_OPEN:
            return min(max(0.0, self._trial_until - now), FIRST_OPEN_SECONDS)
        return max(0.0, self._until - now)

    def enter(self, now: float) -> int:
        """A call is sent now. What becomes of it is told with this number, by which the breaker
        knows what it was when the call was sent: how calls fail that were sent before it opened, or
        beside a trial, says nothing new.

        Where it is open and the time is up, this call is the trial: the only one, for as long as it
        takes, or MOST_OPEN_SECONDS if nothing is heard of it.
        """
        if self.state is not Breaking.CLOSED and self.admits(now):
            self._becomes(Breaking.HALF_OPEN, self.reason)
            self._trial_until = now + MOST_OPEN_SECONDS
        elif self.state in {Breaking.OPEN, Breaking.HALF_OPEN}:
            return BESIDE
        return self._era

    def abandon(self, sent: int) -> None:
        """If this was the trial, and it ended without saying anything of the server, another call
        may try."""
        if self.state is Breaking.HALF_OPEN and sent == self._era:
            self._trial_until = 0.0

    def succeed(self, now: float, sent: int) -> int:
        """The server began a sound answer; the number by which the end of this answer is told.

        It closes it also where the call was sent before it opened; but not where only a share of
        the calls failed, of which others always succeed, nor where it refuses its key or model.
        """
        self._count(now, failed=False)
        self._in_a_row = 0
        says_nothing = self._is_mixed or self.state is Breaking.MISCONFIGURED
        if self.state is Breaking.CLOSED or (sent != self._era and says_nothing):
            return sent
        self._close()
        return self._era

    def fail(self, now: float, sent: int, reason: str, *, in_a_row: bool = True) -> None:
        """What may be the call's own fault counts for the share alone, not `in_a_row`."""
        if sent != self._era:
            return
        self._count(now, failed=True)
        self._in_a_row += in_a_row
        is_row = in_a_row and self._in_a_row >= MOST_IN_A_ROW
        if self.state is not Breaking.CLOSED:
            self._open(now, reason)
        elif is_row or self._share_is_too_large():
            self._is_mixed = not is_row
            self._open(now, reason)

    def misconfigure(self, now: float, sent: int, reason: str) -> None:
        if sent == self._era:
            self._becomes(Breaking.MISCONFIGURED, reason)
            self._until = now + MISCONFIGURED_SECONDS

    def recover(self) -> None:
        """Probes found the server well again: all calls are sent there at once, since the one that
        tries might take long; and the first that fails opens it anew."""
        if self.state is not Breaking.CLOSED:
            self._close()
            self._in_a_row = MOST_IN_A_ROW - 1

    def _becomes(self, state: Breaking, reason: str) -> None:
        self.state, self.reason = state, reason
        self._era += 1

    def _open(self, now: float, reason: str) -> None:
        seconds = min(FIRST_OPEN_SECONDS * 2 ** min(self._opened, 10), MOST_OPEN_SECONDS)
        self._until = now + seconds * random.uniform(0.8, 1.2)  # noqa: S311 - spreads trials
        self._opened += 1
        self._becomes(Breaking.OPEN, reason)

    def _close(self) -> None:
        self._becomes(Breaking.CLOSED, "")
        self._in_a_row = self._opened = 0
        self._calls = self._failures = 0
        self._before = (0, 0)

    def _count(self, now: float, *, failed: bool) -> None:
        if now >= self._window_ends:
            is_next = now < self._window_ends + WINDOW_SECONDS
            self._before = (self._calls, self._failures) if is_next else (0, 0)
            self._calls = self._failures = 0
            self._window_ends = now + WINDOW_SECONDS
        self._calls += 1
        self._failures += failed

    def _share_is_too_large(self) -> bool:
        calls, failures = self._calls + self._before[0], self._failures + self._before[1]
        return calls >= LEAST_CALLS and failures / calls >= MOST_SHARE
