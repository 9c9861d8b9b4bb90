"""The database is 4 ms away in each direction; responses are stored and continued everywhere."""

from __future__ import annotations

import asyncio

from bench.torture.installation import Stage, open_installation
from bench.torture.result import Result
from bench.torture.servers import open_fleet
from bench.torture.threads import Threads

DELAY_SECONDS = 0.002
"""In each direction: a round trip takes 4 ms."""
AT_ONCE = 20


async def run(stage: Stage) -> Result:
    """Chains and conversations whose turns go to both processes in turn, without a pause."""
    result, turns, rounds = Result(), 5, stage.sized(15, 1)
    async with (
        open_fleet(2) as fleet,
        open_installation(stage, fleet, delay_seconds=DELAY_SECONDS) as aurora,
    ):
        threads = Threads([process.server for process in aurora.processes])
        for _ in range(rounds):
            await asyncio.gather(
                *(threads.chain(turns, first) for first in range(AT_ONCE)),
                *(threads.conversation(turns, first) for first in range(AT_ONCE)),
            )
        result.faults = await threads.check()
        result.faults.update(f"logged as an error: {line}" for line in aurora.faults_logged())
    result.add("round trip to the database, ms", DELAY_SECONDS * 2000)
    result.add("turns", threads.turns)
    return result
