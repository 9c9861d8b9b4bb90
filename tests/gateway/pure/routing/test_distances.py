"""Distances of sessions from servers."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import session
from gateway.routing.distances import SPAN, Distances, seed

below_span = st.integers(0, SPAN - 1)


def test_the_seeds_of_servers_never_change():
    """A change here moves every session of every installation."""
    found = [seed(UUID(int=number)) for number in (0, 1, 2**128 - 1)]
    assert found == [3729119049, 3572239091, 4281269543]


@given(st.uuids())
def test_a_seed_is_odd_and_below_the_span(server):
    assert seed(server) % 2 == 1
    assert 0 < seed(server) < SPAN


@given(st.lists(below_span, min_size=1, max_size=300), below_span)
def test_each_distance_is_as_if_there_were_no_other_server(seeds: Sequence[int], key: int):
    found = Distances(seeds, [3.0] * len(seeds)).of(key, range(len(seeds)))
    assert list(found) == [key * number % SPAN for number in seeds]


@given(st.lists(below_span, min_size=1, max_size=20), below_span, st.randoms())
def test_those_of_some_are_as_of_all(seeds: Sequence[int], key: int, chance: Random):
    some = [place for place in range(len(seeds)) if chance.random() < 0.5]
    for weights in ([1.0] * len(seeds), [1.0 + place for place in range(len(seeds))]):
        distances = Distances(seeds, weights)
        of_all = distances.of(key, range(len(seeds)))
        assert list(distances.of(key, some)) == [of_all[place] for place in some]


def test_weight_brings_all_sessions_nearer_and_leaves_their_order():
    seeds = [seed(UUID(int=1)), seed(UUID(int=2))]
    keys = [number * 2**20 + 7 for number in range(4000)]
    plain, weighed = (Distances(seeds, weights) for weights in ([1.0, 1.0], [0.25, 1000.0]))
    light, heavy = zip(*(weighed.of(key, range(2)) for key in keys), strict=True)
    even = [plain.of(key, range(2)) for key in keys]
    for place, found in enumerate((light, heavy)):
        ranked = sorted(range(len(keys)), key=lambda at: even[at][place])
        assert ranked == sorted(range(len(keys)), key=found.__getitem__)
    assert sum(near < far for near, far in zip(heavy, light, strict=True)) > 0.99 * len(keys)


def test_keys_and_seeds_are_as_long_as_the_products_leave_room_for():
    everything = session([], {}, UUID(int=2**128 - 1))
    assert 0 <= everything.key < SPAN
    assert SPAN * SPAN == 2**64
