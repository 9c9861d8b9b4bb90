"""The events of a background response, for one who reads: as they come, from wherever they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from gateway.errors import UnknownResponse
from gateway.runs.pace import Pace
from gateway.runs.register import Runs
from gateway.runs.run import Numbered, Run
from gateway.standing import CHECK_SECONDS, KeyCheck
from gateway.state.store import Store

MOST_EVENTS_AT_ONCE = 200
KEEP_ALIVE = b": keep-alive\n\n"


async def told_after(
    store: Store, runs: Runs, owner: UUID, id: str, after: int, *, check_key: KeyCheck
) -> AsyncIterator[list[Numbered]]:
    """The events whose number is greater than `after`, in order, until the last one is told.

    An empty list says that there was nothing for `Pace.keep_alive_seconds`. Raises StateUnavailable,
    UnknownResponse where it is not there from the first, and what `check_key` raises, twice a second.
    """
    clock = asyncio.get_running_loop().time
    run, told_at, has_begun = runs.find(owner, id), clock(), False
    while True:
        check_key()
        if run is not None and run.holds(after):
            events, is_over = run.after(after), run.is_over
        else:
            try:
                events, is_over = await store.events(owner, id, after, MOST_EVENTS_AT_ONCE)
            except UnknownResponse:
                if not has_begun:
                    raise
                return  # deleted while it was read
        has_begun = True
        if events:
            after, told_at = events[-1][0], clock()
            yield events
        elif is_over:
            return
        elif clock() - told_at >= runs.pace.keep_alive_seconds:
            told_at = clock()
            yield []
        else:
            await _more(run, after, runs.pace)


async def _more(run: Run | None, after: int, pace: Pace) -> None:
    if run is not None and run.holds(after):
        await run.until_told(min(pace.keep_alive_seconds, CHECK_SECONDS))
    else:
        await asyncio.sleep(pace.poll_seconds)
