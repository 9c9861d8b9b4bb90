"""Servers as a fleet sees them, made by hand, and a clock that only tests move."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from gateway.fleet import Fleet
from gateway.fleet.fleet import LOOK_SECONDS
from gateway.fleet.sight import Changes, Sight
from gateway.routing import Target, Tier, Way
from providers.catalog import Catalog
from providers.homes import NO_HOMES, Homes
from providers.observed import Lookout, Observation, Observed
from providers.snapshot import ProviderEntry
from tests.gateway.pure.snapshots import provider, snapshot

PATH = "/v1/chat/completions"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


class Servers:
    """A fleet, with what it reads in the test's hands."""

    def __init__(self, *entries: ProviderEntry, look_seconds: float = LOOK_SECONDS) -> None:
        self.clock, self.catalog, self.lookout = Clock(), Catalog(), Lookout()
        self.fleet = Fleet(self.catalog, self.lookout, clock=self.clock, look_seconds=look_seconds)
        self.publish(*entries)

    def publish(self, *entries: ProviderEntry) -> None:
        self.catalog.publish(snapshot(*entries))
        self.fleet.look()

    def observe(
        self, seen: Mapping[UUID, Observation], processes: int = 1, homes: Homes = NO_HOMES
    ) -> None:
        self.lookout.publish(Observed(MappingProxyType(dict(seen)), processes, homes))
        self.fleet.look()

    def tier(self, name: str = "m") -> Tier:
        return tier(name, *self.catalog.current().providers.values())


def tier(name: str, *entries: ProviderEntry) -> Tier:
    ways = [Way(Target(entry, "m"), PATH) for entry in entries]
    return Tier.of(name, ways, [entry.weight for entry in entries])


def server(name: str = "a", **fields: Any) -> ProviderEntry:
    return provider(name, "m", **fields)


def sight_of(entry: ProviderEntry | None = None) -> Sight:
    """One server as a process sees it, by itself."""
    return Sight(entry or server(), Changes())
