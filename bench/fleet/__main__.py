"""Send one trace of chats through Aurora by each policy, and through vllm-router; print Markdown.

Exit status 0 whatever the figures are; 1 only when Aurora or the servers could not be run.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import uvloop

from bench.client import Server, fetch
from bench.contenders import ROOT, Place
from bench.fleet import contenders
from bench.fleet.contenders import CONTENDERS, Fronts
from bench.fleet.drive import Drive
from bench.fleet.ideal import most_found
from bench.fleet.report import Figures, markdown, of_firsts, of_servers
from bench.fleet.trace import trace
from bench.mock import MODEL
from bench.processes import CannotStart, cores, cpu_seconds, pinned


@dataclass(frozen=True, slots=True)
class Size:
    calls_per_second: float
    seconds: float
    warm_seconds: float
    """Of these, what fills the caches and does not count."""


FULL, QUICK = Size(90, 90, 30), Size(90, 25, 10)


def main() -> int:
    given = _arguments()
    gateway_core, load_core = cores()
    figures = Figures()
    if gateway_core == load_core:
        figures.problems.append("one core only: gateways, servers and load shared it")
    size = QUICK if given.quick else FULL
    sessions = trace(size.calls_per_second, size.seconds)
    figures.add("ideal", hit_share=most_found(sessions, size.warm_seconds))
    failure = ""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, pinned(load_core):
        for name in given.only or CONTENDERS:
            print(f"{name} ...", file=sys.stderr, flush=True)
            place = Place(Path(folder) / name, gateway_core, load_core)
            place.folder.mkdir()
            try:
                uvloop.run(_measured(name, place, size, figures))
            except CannotStart as error:
                figures.problems.append(str(error))
                failure = failure or (str(error) if CONTENDERS[name].policy else "")
    print(markdown(figures))
    return 1 if failure else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter; too rough to publish")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, help="who is measured")
    return parser.parse_args()


async def _measured(name: str, place: Place, size: Size, figures: Figures) -> None:
    """Raises CannotStart."""
    who = CONTENDERS[name]
    async with (
        contenders.fleet(place, renders=who.renders) as ports,
        who.start(place, ports) as fronts,
    ):
        found = await _sent(Server("servers", ports[0], MODEL), fronts, size)
    figures.add(name, **found)
    if who.policy:
        figures.add(name, choice_us=_choice_us(who.policy, place))


async def _sent(servers: Server, fronts: Fronts, size: Size) -> dict[str, float]:
    """The trace from its beginning to its end, as measures."""
    drive = Drive(fronts.servers, size.warm_seconds)
    driving = asyncio.create_task(drive.run(trace(size.calls_per_second, size.seconds)))
    await asyncio.sleep(size.warm_seconds)
    await fetch(servers, servers.post("/begin", {}))
    began = sum(map(cpu_seconds, fronts.pids))
    outcome = await driving
    spent = sum(map(cpu_seconds, fronts.pids)) - began
    counts = await _counts(servers)
    return {
        **counts,
        **of_firsts(outcome.firsts),
        "call_cpu_us": spent / max(1, counts["calls"]) * 1e6,
        "errors": sum(outcome.bad.values()),
    }


def _choice_us(policy: str, place: Place) -> float:
    """Measured where the gateway ran. Raises CannotStart."""
    words = (sys.executable, "-m", "bench.fleet.choosing", policy)
    settings = {**os.environ, "AURORA_DATA_DIR": str(place.folder), "PYTHONPATH": str(ROOT)}
    with pinned(place.gateway_core):
        done = subprocess.run(words, env=settings, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotStart(f"choosing by {policy}: {done.stderr}")
    return float(done.stdout)


async def _counts(servers: Server) -> dict[str, float]:
    _, answer = await fetch(servers, servers.get("/stats"))
    return of_servers(json.loads(answer.partition(b"\r\n\r\n")[2]))


if __name__ == "__main__":
    sys.exit(main())
