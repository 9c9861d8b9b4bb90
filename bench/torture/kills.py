"""A process is killed under load, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import signal

from bench.torture.installation import Stage, open_installation
from bench.torture.result import Result
from bench.torture.servers import open_fleet
from bench.torture.threads import Threads
from bench.torture.traffic import Traffic


async def run(stage: Stage) -> Result:
    """What the killed one had acknowledged is there; the calls of the other never notice."""
    result, rounds = Result(), stage.sized(5, 1)
    async with open_fleet(2) as fleet, open_installation(stage, fleet) as aurora:
        killed, other = aurora.processes
        acknowledged = Threads([killed.server])
        async with Traffic(lambda: other.server) as traffic:
            for _ in range(rounds):
                await _kill_while_storing(acknowledged, killed.end)
                await killed.start()
        await acknowledged.wait_until_stored(60)
        result.faults = traffic.faults + traffic.check_executed(fleet)
        result.faults += await Threads([other.server], acknowledged.stored).check()
    result.add("kills", rounds)
    result.add("calls of the other process", len(traffic.attempts))
    result.add("responses acknowledged by the killed one", len(acknowledged.stored))
    return result


async def _kill_while_storing(threads: Threads, end: object) -> None:
    """Ten callers store responses until the process is gone. Their own failures are its death."""
    assert callable(end)
    storing = [asyncio.create_task(_store_until_killed(threads)) for _ in range(10)]
    await asyncio.sleep(1)
    await end(signal.SIGKILL)
    for task in storing:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    threads.faults.clear()


async def _store_until_killed(threads: Threads) -> None:
    while not threads.faults:
        await threads.single(0)
