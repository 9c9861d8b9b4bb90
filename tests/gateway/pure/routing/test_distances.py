"""Distances of sessions from servers."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    found = Distances(seeds, [3.0] * len(seeds)).of(key)
    assert list(found) == [key * number % SPAN for number in seeds]


def test_one_of_more_weight_is_nearer_to_every_session_and_which_it_prefers_stays():
    seeds, keys = (
        [seed(UUID(int=1)), seed(UUID(int=2))],
        [number * 2**20 + 7 for number in range(4000)],
    )
    plain, weighed = Distances(seeds, [1.0, 1.0]), Distances(seeds, [1.0, 3.0])
    ranked = [sorted(keys, key=lambda key: of(key)[0]) for of in (plain.of, weighed.of)]
    assert ranked[0] == ranked[1]
    assert all(weighed.of(key)[0] >= plain.of(key)[0] for key in keys)
    assert all(weighed.of(key)[1] == pytest.approx(plain.of(key)[1]) for key in keys)
