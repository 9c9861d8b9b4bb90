"""Two servers of one model, the one before the other; failures of the first are what is tested."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.client import Limits
from providers.observed import Observation, Observed, State
from providers.snapshot import AliasEntry, ProviderEntry, TargetEntry
from tests.gateway.fleet.servers import Clock
from tests.mounted import CHAT, MASTER_KEY, MODEL, MountedGateway, key_of, provider
from tests.raw_http import Answer
from tests.scripted_vllm import ScriptedVllm
from tests.serving import ServerThread

LOOK_SECONDS = 0.02
"""So often those who wait look whether there is still something to wait for."""
NAME = "the-model"
"""The alias: `one` first, then `two`."""
OTHER_KEY = "the-secret-of-another-application"


@dataclass
class Fleet:
    """A gateway before two servers."""

    gateway: MountedGateway
    clock: Clock
    """By which breakers open and those who wait lose patience. It stands unless a test moves it, or
    a call sleeps before it is sent once more, which takes no time."""
    one: ScriptedVllm
    two: ScriptedVllm
    entries: dict[str, ProviderEntry]

    def publish(self, *, alias: dict[str, Any] | None = None, **of_one: Any) -> None:
        """Anew: `of_one` are settings of the first provider, `alias` of the alias."""
        held = self.entries.get("one"), self.entries.get("two")
        one, two = provider(self.one.url, "one", **of_one), provider(self.two.url, "two")
        self.entries = {"one": _same_id(one, held[0]), "two": _same_id(two, held[1])}
        tiers = tuple((TargetEntry(name, MODEL),) for name in self.entries)
        self.gateway.publish(
            *self.entries.values(),
            keys={secret: key_of(secret) for secret in (MASTER_KEY, OTHER_KEY)},
            aliases=[AliasEntry(NAME, tiers, **(alias or {}))],
        )

    def only(self, **of_one: Any) -> None:
        """Without the second."""
        self.gateway.publish(
            provider(self.one.url, "one", **of_one),
            keys={MASTER_KEY: key_of(MASTER_KEY), OTHER_KEY: key_of(OTHER_KEY)},
        )

    def observe(self, name: str, state: State, recovered: int = 0) -> None:
        """What the prober says of one of them."""
        seen = Observation(state, "so the prober says", recovered=recovered)
        self.gateway.lookout.publish(Observed({self.entries[name].id: seen}))

    def chat(self, model: str = NAME, *, key: str = MASTER_KEY, **members: Any) -> Answer:
        return self.gateway.post(CHAT, {"model": model, "messages": [], **members}, key=key)

    @property
    def calls(self) -> tuple[int, int]:
        """How many have come to each."""
        return len(self.one.received), len(self.two.received)


def _same_id(entry: ProviderEntry, held: ProviderEntry | None) -> ProviderEntry:
    if held is not None:
        object.__setattr__(entry, "id", held.id)
    return entry


@pytest.fixture
def options() -> dict[str, Any]:
    """Of the gateway; a test that needs others parametrizes them."""
    return {}


@pytest.fixture
def of_fleet() -> dict[str, Any]:
    """Of its fleet, likewise."""
    return {}


@pytest.fixture
def fleet(
    server_thread: ServerThread, limits: Limits, options: dict[str, Any], of_fleet: dict[str, Any]
) -> Iterator[Fleet]:
    clock = Clock()
    usual: dict[str, Any] = {"repeated_share": 0.2, "look_seconds": LOOK_SECONDS}
    usual |= {"clock": clock, "sleep": clock.sleep}
    with ScriptedVllm() as one, ScriptedVllm() as two:
        gateway = MountedGateway(server_thread, limits, of_fleet=usual | of_fleet, **options)
        fleet = Fleet(gateway, clock, one, two, {})
        fleet.publish()
        yield fleet
        gateway.close()


@pytest.fixture
def elsewhere(fleet: Fleet) -> Iterator[ThreadPoolExecutor]:
    """For calls that a test does not wait for; what the servers hold goes on in the end."""
    with ThreadPoolExecutor(20) as pool:
        yield pool
        for server in (fleet.one, fleet.two):
            server.go_on(20)
