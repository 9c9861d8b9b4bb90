"""Run the trials against processes of Aurora's on a PostgreSQL database, and print Markdown.

Exit status 0: nothing failed, was lost or doubled; 1: something was; 2: they could not be run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psycopg
import uvloop

from bench.processes import CannotStart, cores, pinned
from bench.torture import edits, fuzz, kills, outage, slow_database, stops
from bench.torture.installation import Stage
from bench.torture.report import markdown
from bench.torture.result import Result

TRIALS: dict[str, Callable[[Stage], Awaitable[Result]]] = {
    "edits": edits.run,
    "outage": outage.run,
    "slow-database": slow_database.run,
    "kills": kills.run,
    "stops": stops.run,
    "fuzz": fuzz.run,
}
ROOT_URL = "postgres://postgres@127.0.0.1:5432/postgres"


def main() -> int:
    given = _arguments()
    gateway_core, load_core = cores()
    with tempfile.TemporaryDirectory(prefix="torture-") as folder, pinned(load_core):
        stage = Stage(Path(folder), gateway_core, load_core, given.database, given.quick)
        try:
            results = uvloop.run(_run(stage, given.only or list(TRIALS)))
        except (CannotStart, psycopg.OperationalError) as error:
            print(error, file=sys.stderr)
            return 2
    print(markdown(results))
    return 1 if any(result.faults for result in results.values()) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.torture", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute; too short to publish")
    parser.add_argument("--only", action="append", choices=TRIALS, help="may be given again")
    parser.add_argument(
        "--database", default=ROOT_URL, help="a PostgreSQL server whose user may create databases"
    )
    return parser.parse_args()


async def _run(stage: Stage, names: list[str]) -> dict[str, Result]:
    results = {}
    for name in names:
        began = time.monotonic()
        print(f"{name} ...", file=sys.stderr, flush=True)
        results[name] = await TRIALS[name](stage)
        results[name].add("seconds", time.monotonic() - began)
    return results


if __name__ == "__main__":
    sys.exit(main())
