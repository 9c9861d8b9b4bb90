"""Measure Aurora against a bare upstream and LiteLLM's proxy, and print Markdown.

Exit status 0 whatever the figures are; 1 only when Aurora or the mock could not be run.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from pathlib import Path

import uvloop

from bench import contenders
from bench.lanes import FULL, LANES, QUICK, Bench, Size
from bench.processes import CannotStart, cores, pinned
from bench.report import CONTENDERS, Figures, markdown

MOST_SOCKETS = 65_536


def main() -> int:
    given = _arguments()
    _allow_many_sockets()
    gateway_core, load_core = cores()
    figures = Figures()
    if gateway_core == load_core:
        figures.problems.append("one core only: gateway, mock and load shared it")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, pinned(load_core):
        place = contenders.Place(Path(folder), gateway_core, load_core)
        size = QUICK if given.quick else FULL
        failure = uvloop.run(
            _run(place, size, figures, given.only or list(LANES), frozenset(given.against))
        )
    print(markdown(figures))
    if failure:
        print(failure, file=sys.stderr)
    return 1 if failure else 0


def _allow_many_sockets() -> None:
    """500 streams are 1,000 sockets in a gateway: more than the usual soft limit. Inherited."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_SOCKETS if hard == resource.RLIM_INFINITY else min(MOST_SOCKETS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter; too rough to publish")
    parser.add_argument(
        "--only", action="append", choices=LANES, help="a lane; may be given several times"
    )
    parser.add_argument(
        "--against", nargs="+", choices=CONTENDERS, default=CONTENDERS, help="who is measured"
    )
    return parser.parse_args()


async def _run(
    place: contenders.Place, size: Size, figures: Figures, only: list[str], against: frozenset[str]
) -> str:
    """Run the lanes; "", or why Aurora or the mock could not be run."""
    try:
        async with contenders.mock(place) as mock:
            bench = Bench(place, mock, size, figures, against)
            for name in only:
                print(f"{name} ...", file=sys.stderr, flush=True)
                await LANES[name](bench)
    except CannotStart as error:
        return str(error)
    return ""


if __name__ == "__main__":
    sys.exit(main())
