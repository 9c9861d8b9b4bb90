"""The database goes away under load, and comes back."""

from __future__ import annotations

import asyncio
import itertools

from bench.torture.installation import Stage, open_installation
from bench.torture.result import Result
from bench.torture.servers import open_fleet
from bench.torture.threads import Threads
from bench.torture.traffic import Traffic

BACK_SECONDS = 90.0
"""Until what waited for the database must be written."""


async def run(stage: Stage) -> Result:
    """Calls go on; what is stored meanwhile is there afterwards, once."""
    result, away = Result(), stage.sized(60, 5)
    async with open_fleet(2) as fleet, open_installation(stage, fleet) as aurora:
        all_servers = [process.server for process in aurora.processes]
        servers = itertools.cycle(all_servers)
        threads = Threads(all_servers)
        async with Traffic(lambda: next(servers)) as traffic:
            await asyncio.sleep(1)
            aurora.link.cut()
            for _ in range(away):
                await threads.single(1)
                await asyncio.sleep(1)
            aurora.link.mend()
            await threads.wait_until_stored(BACK_SECONDS)
        result.faults = traffic.faults + traffic.check_executed(fleet) + await threads.check()
    result.add("seconds without the database", away)
    result.add("calls", len(traffic.attempts))
    result.add("responses stored", len(threads.stored))
    return result
