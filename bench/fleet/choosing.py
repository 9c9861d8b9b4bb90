"""What one choice of a server costs, in processor time, at so many servers: all that is done for it
between a call that is read and a call that is sent, and giving the place back.

A program of its own, since it needs Django set up; it prints the microseconds.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "aurora_site.settings")
django.setup()

from gateway.fleet import Fleet  # noqa: E402
from gateway.fleet.fleet import LOOK_SECONDS  # noqa: E402
from gateway.records import Record  # noqa: E402
from gateway.routing import Pools, Session, Settings  # noqa: E402
from gateway.views.exchange import Exchange  # noqa: E402
from gateway.views.search import Search  # noqa: E402
from providers.addresses import Address  # noqa: E402
from providers.catalog import Catalog  # noqa: E402
from providers.observed import Lookout  # noqa: E402
from providers.snapshot import ProviderEntry, Snapshot  # noqa: E402

SERVERS = 200
CALLS = 800
ROUNDS = 25
"""The least of them: what else the machine does only adds."""
OWNER = UUID(int=1)
MODEL = "m"
PATHS = ("/v1/chat/completions",)


class NothingMissing:
    version = 0

    def lacks(self, provider: ProviderEntry, path: str) -> bool:
        return False


def choice_us(policy: str, servers: int = SERVERS, calls: int = CALLS) -> float:
    """Microseconds a choice, while each server has a few calls already."""
    return asyncio.run(_measured(policy, servers, calls))


async def _measured(policy: str, servers: int, calls: int) -> float:
    catalog = Catalog()
    catalog.publish(_snapshot(servers))
    passed = 0.0
    fleet = Fleet(catalog, Lookout(), clock=lambda: time.monotonic() + passed)
    fleet.look()
    pools = Pools(Settings(policy), NothingMissing())
    exchange = cast(Exchange, SimpleNamespace(fleet=fleet, record=Record("POST", "x")))

    async def placed(key: int) -> Any:
        find = lambda: pools.find(MODEL, fleet.look(), PATHS)  # noqa: E731 - as a call has it
        return await Search(exchange, find, OWNER, lambda: Session(key)).place()

    keys = [number * 2654435761 % 2**32 for number in range(calls)]
    held = [await placed(key) for key in keys[: 3 * servers]]
    passed = LOOK_SECONDS  # what was sent is counted, and by affinity some are strained
    began = time.thread_time()
    for key in keys:
        fleet.give_back(await placed(key))
    spent = time.thread_time() - began
    for place in held:
        fleet.give_back(place)
    return spent / calls * 1e6


def _snapshot(servers: int) -> Snapshot:
    entries = [
        ProviderEntry(
            id=UUID(int=number + 1),
            name=f"gpu-{number:03}",
            type="vllm",
            address=Address(f"http://127.0.0.1:{number + 1}"),
            authorization=None,
            models={MODEL: {"id": MODEL}},
        )
        for number in range(servers)
    ]
    return Snapshot(revision=1, providers={entry.name: entry for entry in entries}, keys={})


if __name__ == "__main__":
    print(min(choice_us(sys.argv[1]) for _ in range(ROUNDS)))
