"""Many requests that are wrong in every way: none may end in an error of Aurora's own."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter

from bench.client import Server
from bench.processes import resident_mib
from bench.torture.installation import Installation, Process, Stage, open_installation
from bench.torture.mutations import requests
from bench.torture.result import Result
from bench.torture.servers import open_fleet
from bench.torture.traffic import CHAT, CHAT_PATH, call

AT_ONCE = 64
ANSWER_SECONDS = 60.0
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_OWN_FAULTS = frozenset({500})


async def run(stage: Stage) -> Result:
    """Every request is answered or its connection closed; the process lives, and its memory is flat."""
    result, wanted = Result(), stage.sized(1_000_000, 5_000)
    statuses: Counter[str] = Counter()
    async with open_fleet(1) as fleet, open_installation(stage, fleet, processes=1) as aurora:
        process = aurora.processes[0]
        await _send(aurora, wanted // 20, statuses, result.faults, seed=0)  # as its memory settles
        before_mib = resident_mib(_pid(process))
        await _send(aurora, wanted, statuses, result.faults, seed=1)
        grown_mib = resident_mib(_pid(process)) - before_mib
        await _check_alive(process.server, result.faults)
        result.faults.update(f"logged as an error: {line}" for line in aurora.faults_logged())
    result.add("requests", wanted)
    for status, count in sorted(statuses.items()):
        result.add(f"answered {status}", count)
    result.add("growth of memory, MiB", grown_mib)
    return result


def _pid(process: Process) -> int:
    assert process.popen is not None
    return process.popen.pid


async def _check_alive(server: Server, faults: Counter[str]) -> None:
    made = await call(server, CHAT_PATH, CHAT)
    if made.status != 200:
        faults[f"failed: a good call afterwards is answered {made.status}"] += 1


async def _send(
    aurora: Installation, count: int, statuses: Counter[str], faults: Counter[str], *, seed: int
) -> None:
    server = aurora.processes[0].server

    async def sender(number: int) -> None:
        made = requests(seed * AT_ONCE + number, server.key)
        for _ in range(count // AT_ONCE):
            request = next(made)
            status = await _status(server.port, request)
            statuses[status] += 1
            if status == "none" or int(status.partition(" ")[0] or 0) in _OWN_FAULTS:
                faults[f"failed: {status} to {request[:60]!r}"] += 1

    await asyncio.gather(*map(sender, range(AT_ONCE)))


async def _status(port: int, request: bytes) -> str:
    """The status; "0" where the connection was closed without one; "none" where nothing came."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await _answered(port, request)
    except TimeoutError:
        return "none"
    except OSError:
        return "0"


async def _answered(port: int, request: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        writer.write_eof()
        received = await reader.read(65_536)
        found = _STATUS.match(received)
        while found and found[1] == b"100" and (more := await reader.read(65_536)):
            found = _STATUS.match(more) or found
        return found[1].decode() if found else "0"
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            writer.transport.abort()
