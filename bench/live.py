"""How soon a change is live, and how soon a process without calls ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from bench.client import Server, connect, fetch

LOOK_SECONDS = 0.005
MOST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Changes:
    """From the answer to a change until calls go by it."""

    worst_ms: float
    p50_ms: float
    bad: Counter[str]


async def key_changes(server: Server, count: int) -> Changes:
    """Issue a key and revoke it, so many times. `server` is asked with a master key."""
    bad, taken = Counter[str](), list[float]()
    for number in range(count):
        issued = await _change(server, "/api/keys", {"name": f"bench {number}"})
        holder = replace(server, key=issued["secret"])
        taken += _timely(await _until(holder, 200), bad, "a key that never worked")
        await _change(server, f"/api/keys/{issued['id']}/revoke")
        taken += _timely(await _until(holder, 401), bad, "a revoked key that went on working")
    return Changes(
        worst_ms=max(taken, default=0.0) * 1000,
        p50_ms=statistics.median(taken or [0.0]) * 1000,
        bad=bad,
    )


def _timely(seconds: float | None, bad: Counter[str], failure: str) -> Iterator[float]:
    if seconds is None:
        bad[failure] += 1
    else:
        yield seconds


async def _change(server: Server, path: str, members: dict[str, object] | None = None) -> Any:
    _, answer = await fetch(server, server.change(path, members or {}))
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def _until(holder: Server, wanted: int) -> float | None:
    """Seconds until a call of the key's holder is answered so; None where none is."""
    began = time.monotonic()
    while (passed := time.monotonic() - began) < MOST_SECONDS:
        status, _ = await fetch(holder, holder.get("/v1/models"))
        if status == wanted:
            return passed
        await asyncio.sleep(LOOK_SECONDS)
    return None


async def stop(server: Server, pid: int) -> float:
    """Seconds from SIGTERM until the process has ended, beside a connection that is kept open."""
    idle = await connect(server.port)
    await idle.call(server.get("/health"))
    began = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    # It is left to be waited for by whoever started it.
    await asyncio.to_thread(os.waitid, os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    idle.close()
    return time.monotonic() - began
