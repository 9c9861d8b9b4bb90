"""What is kept of all servers of a tier is what each of them says."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gateway.fleet.overview import Overview
from gateway.fleet.sight import MOST_CHANGES, Changes, Sight
from providers.observed import Observation, State
from tests.gateway.fleet.servers import server

NOW = 1000.0


def change(sight: Sight, chance: Random) -> None:
    """In one of the ways in which a server changes."""
    match chance.randrange(6):
        case 0 | 1:
            sight.begin(NOW)
        case 2:
            if sight.in_flight:
                sight.end()
        case 3:
            state = chance.choice([State.HEALTHY, State.UNHEALTHY])
            sight.observe(Observation(state, running=chance.randrange(9), looked=NOW), NOW)
        case 4:
            sight.pause(NOW, chance.choice([0.0, 5.0]))
        case 5:
            sight.know(server(sight.entry.name, draining=chance.random() < 0.2), 1)


@given(st.lists(st.integers(0, 3 * MOST_CHANGES), min_size=1, max_size=8), st.randoms())
def test_it_is_as_if_each_server_were_looked_at_anew(rounds: list[int], chance: Random):
    changes = Changes()
    known = [Sight(server(f"gpu-{number}"), changes) for number in range(6)]
    of_two_models = [*known[:4], *known[:2]]  # the last two are seen by another tier alone
    overview = Overview(of_two_models, changes)
    for number in rounds:
        for _ in range(number):
            change(chance.choice(known), chance)
        if chance.random() < 0.8:
            assert overview.calls() == [sight.calls for sight in of_two_models]
        if chance.random() < 0.8:
            assert overview.are_all_open() is not any(sight.is_shut for sight in of_two_models)
