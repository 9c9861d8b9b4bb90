"""What the store does now and then, beside the calls."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from gateway.errors import StateUnavailable

MORE_SECONDS = 1.0
"""Until the next round where one did not come to the end."""
log = logging.getLogger("aurora.state")


async def repeat(work: Callable[[], Awaitable[bool]], seconds: float) -> None:
    """Do `work` now and then, sooner where it says that there is more of it."""
    while True:
        more = False
        try:
            more = await work()
        except StateUnavailable:
            log.debug("a round is left out: the database does not answer")
        except Exception:  # whatever goes wrong in one round, the next must still come
            log.exception("a round of removing and ending responses failed")
        pause_seconds = MORE_SECONDS if more else seconds
        await asyncio.sleep(pause_seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load
