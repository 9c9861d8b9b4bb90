"""An upgrade in turn: each process is told to stop, ends, and is started again, under load."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field

from bench.client import Server
from bench.torture.installation import Process, Stage, open_installation
from bench.torture.result import Result
from bench.torture.servers import open_fleet
from bench.torture.threads import Threads
from bench.torture.traffic import Traffic, get

LOOK_SECONDS = 0.1


@dataclass(slots=True)
class _Balancer:
    """Asks `/ready` ten times a second, as a load balancer does, and leaves out who is not."""

    processes: list[Process]
    ready: list[Server] = field(default_factory=list)
    _turn: Iterator[int] = field(default_factory=itertools.count)

    def next(self) -> Server:
        return self.ready[next(self._turn) % len(self.ready)]

    async def look(self) -> None:
        while True:
            await self.look_once()
            await asyncio.sleep(LOOK_SECONDS)

    async def look_once(self) -> None:
        servers = [process.server for process in self.processes]
        answers = await asyncio.gather(*(get(server, "/ready") for server in servers))
        found = [s for s, made in zip(servers, answers, strict=True) if made.status == 200]
        self.ready = found or self.ready


async def run(stage: Stage) -> Result:
    """No call fails, and no stored response is lost."""
    result, rounds = Result(), stage.sized(4, 1)
    async with (
        open_fleet(2) as fleet,
        open_installation(stage, fleet) as aurora,
    ):
        balancer = _Balancer(aurora.processes)
        await balancer.look_once()
        looking = asyncio.create_task(balancer.look())
        threads = Threads([process.server for process in aurora.processes])
        async with Traffic(balancer.next) as traffic:
            for process in aurora.processes * rounds:
                threads.servers = [process.server]
                await asyncio.gather(*(threads.single(0) for _ in range(20)))
                code = await process.end(signal.SIGTERM)
                if code:
                    result.faults[f"failed: exit code {code}"] += 1
                await process.start()
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        threads.servers = [process.server for process in aurora.processes]
        result.faults += traffic.faults + traffic.check_executed(fleet) + await threads.check()
        result.faults.update(f"logged as an error: {line}" for line in aurora.faults_logged())
    result.add("stops", 2 * rounds)
    result.add("calls", len(traffic.attempts))
    result.add("responses stored just before a stop", len(threads.stored))
    return result
