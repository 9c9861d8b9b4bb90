"""How many responses could not be kept, and the lines in the log that say so."""

from __future__ import annotations

import logging
import time

TELL_SECONDS = 10.0
log = logging.getLogger("aurora.state")


class Counter:
    """Counts something that should not happen. The log tells of it at most every `TELL_SECONDS`."""

    def __init__(self, what: str) -> None:
        self.count = 0
        self._what = what
        self._untold, self._told_at = 0, -TELL_SECONDS

    def add(self, reason: str, count: int = 1) -> None:
        self.count += count
        self._untold += count
        if time.monotonic() - self._told_at >= TELL_SECONDS:
            self.tell(reason)

    def tell(self, reason: str) -> None:
        if self._untold:
            log.error("%s: %d; the last: %s", self._what, self._untold, reason)
        self._untold, self._told_at = 0, time.monotonic()
