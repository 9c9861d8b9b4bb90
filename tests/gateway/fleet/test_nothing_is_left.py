"""Whatever happens to calls and servers, every place is given back, nobody is left waiting, and no
server is shut for a trial that has ended."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import replace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from gateway.fleet import LineFull, Patience
from gateway.fleet.breaker import Breaking
from providers.observed import Observation, State
from tests.gateway.fleet.servers import Servers, server

CALLS = 120
NAMES = ("a", "b", "c")
OWNERS = [UUID(int=number) for number in range(1, 4)]


class Failed(Exception):
    pass


async def call(servers: Servers, chance: random.Random) -> None:
    """Waits for a place as calls do, if there is none free, and ends in some way."""
    fleet, of = servers.fleet, servers.tier()
    fleet.look()
    free = [
        number
        for number, sight in enumerate(fleet.sights(of))
        if sight.has_room and sight.admits(fleet.now())
    ]
    if free and chance.random() < 0.8:
        number = chance.choice(free)
        place = fleet.take(of.ways[number], fleet.sights(of)[number])
    else:
        tried = frozenset(chance.sample([way.provider.id for way in of.ways], len(of.ways) // 2))
        patience = Patience(chance.choice(OWNERS), chance.randint(0, 20), 60.0, tried)
        waited = await fleet.wait(of, patience, lambda: chance.random() < 0.9)
        if waited is None:
            return
        place = waited
    with fleet.visiting(place):
        await asyncio.sleep(chance.choice((0, 0, 0.001)))
        end = chance.random()
        if end < 0.1:
            return  # nothing is learnt, as where its client leaves
        if end < chance.choice((0.3, 0.95)):
            place.breaker.fail(fleet.now(), place.sent, "it is dead")
            place.sight.look()
            raise Failed
        place.breaker.succeed(fleet.now(), place.sent)


def change(servers: Servers, chance: random.Random) -> None:
    """Something that operators or probes do."""
    entries = [
        replace(
            server(name),
            max_concurrency=chance.choice((None, 1, 2, 5)),
            draining=chance.random() < 0.2,
        )
        for name in NAMES
        if chance.random() < 0.8
    ]
    servers.publish(*entries)
    servers.clock.seconds += chance.random() * 4
    states = {
        entry.id: Observation(chance.choice(list(State)), running=chance.randint(0, 9))
        for entry in entries
    }
    servers.observe(states, processes=chance.randint(1, 3))


async def storm(seed: int) -> Servers:
    chance, servers = random.Random(seed), Servers(*map(server, NAMES))
    tasks = []
    for _ in range(CALLS):
        tasks.append(asyncio.create_task(call(servers, chance)))
        if chance.random() < 0.2:
            await asyncio.sleep(chance.choice((0, 0.001)))
            servers.clock.seconds += chance.random()
        if chance.random() < 0.2:
            chance.choice(tasks).cancel()
        if chance.random() < 0.1:
            change(servers, chance)
    servers.publish(*map(server, NAMES))
    await asyncio.sleep(0.005)
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(Failed, LineFull, asyncio.CancelledError):
            await task
    servers.observe({})
    return servers


@given(seed=st.integers(0, 2**32))
def test_nothing_is_left_after_a_storm(seed):
    servers = asyncio.run(storm(seed))

    fleet = servers.fleet
    assert [sight.in_flight for sight in fleet._sights.values()] == [0] * len(NAMES)
    assert fleet._waiting == {}
    on_trial = [s for s in fleet._sights.values() if s.breaker.state is Breaking.HALF_OPEN]
    assert all(sight.breaker.admits(servers.clock()) for sight in on_trial), "its trial has ended"
    assert all(report.waiting == 0 for report in fleet.reports().values())
