"""What is kept of all servers of a tier is what each of them says."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.fleet.overview import Overview
from gateway.fleet.sight import MOST_CHANGES, Changes, Sight
from gateway.routing import Pool
from providers.addresses import Address
from providers.observed import Observation, State
from tests.gateway.fleet.servers import Servers, server, tier

NOW = 1000.0


def change(sight: Sight, chance: Random, now: float) -> None:
    """In one of the ways in which a server changes, or is found to have changed."""
    match chance.randrange(9):
        case 0 | 1:
            sight.begin(now)
        case 2:
            if sight.in_flight:
                sight.end()
        case 3:
            state = chance.choice([State.HEALTHY, State.UNHEALTHY])
            running, recovered = chance.randrange(9), chance.randrange(3)
            said = Observation(state, running=running, looked=NOW, recovered=recovered)
            sight.observe(said, now)
        case 4:
            sight.observe(sight.observation, now)
        case 5:
            sight.pause(now, chance.choice([0.0, 5.0]))
        case 6:
            at = Address(f"http://at-{chance.randrange(2)}:8000")
            entry = server(sight.entry.name, draining=chance.random() < 0.2)
            sight.know(replace(entry, address=at), 1)
        case 7:
            sight.leave()
        case 8:
            sent = sight.breaker.enter(now)
            if chance.random() < 0.7:
                sight.breaker.fail(now, sent, "it is dead")
            else:
                sight.breaker.misconfigure(now, sent, "it refuses the key")
            sight.look()


@given(st.lists(st.integers(0, 3 * MOST_CHANGES), min_size=1, max_size=8), st.randoms())
def test_it_is_as_if_each_server_were_looked_at_anew(rounds: list[int], chance: Random):
    changes = Changes()
    known = [Sight(server(f"gpu-{number}"), changes) for number in range(6)]
    of_two_models = [*known[:4], *known[:2]]  # the last two are seen by another tier alone
    overview = Overview(of_two_models, changes)
    for passed, number in enumerate(rounds):
        for _ in range(number):
            change(chance.choice(known), chance, NOW + 3.0 * passed)
        if chance.random() < 0.8:
            assert overview.calls() == [sight.calls for sight in of_two_models]
        if chance.random() < 0.8:
            assert overview.are_all_open() is not any(sight.is_shut for sight in of_two_models)


def test_all_tiers_of_a_server_know_of_its_calls_and_of_its_going():
    one, two, three = server("one"), server("two"), server("three")
    servers = Servers(one, two, three)
    fleet, tiers = servers.fleet, [tier("m", one, two), tier("n", two, three)]

    def least_loaded() -> list[int]:
        pools = [Pool(of.name, (of,), "least_loaded", 0, 0.0) for of in tiers]
        return [next(iter(fleet.ordered(of, of.tiers[0], range(2), None))) for of in pools]

    least_loaded()
    place = fleet.take(tiers[0].ways[1], fleet.sight(two))
    assert [least_loaded() for _ in range(2)] == [[0, 1]] * 2
    fleet.give_back(place)
    assert [fleet.are_all_open(of) for of in tiers] == [True, True]

    servers.publish(one, three)
    assert [fleet.are_all_open(of) for of in tiers] == [False, False]
    servers.publish(one, two, three)
    assert fleet.are_all_open(tier("m", one, two))
