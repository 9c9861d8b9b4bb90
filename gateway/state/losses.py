"""How many responses could not be kept, and the lines in the log that say so."""

from __future__ import annotations

import logging
import time

TELL_SECONDS = 10.0
log = logging.getLogger("aurora.state")


class Losses:
    """Counts the copies that could not be kept. Tells of them at most every `TELL_SECONDS`."""

    def __init__(self) -> None:
        self.count = 0
        self._untold, self._told_at = 0, -TELL_SECONDS

    def add(self, reason: str, count: int = 1) -> None:
        self.count += count
        self._untold += count
        if time.monotonic() - self._told_at >= TELL_SECONDS:
            self.tell(reason)

    def tell(self, reason: str) -> None:
        if self._untold:
            log.error("responses that were not kept: %d; the last: %s", self._untold, reason)
        self._untold, self._told_at = 0, time.monotonic()
