"""The plan of who is at home where: sizes, balance, and that it changes little."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import sqrt
from random import Random
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.homes import (
    LEAST_CALLS,
    LEAST_HOMES,
    MOST_PREFIXES,
    MOST_SWAPS,
    NO_HOMES,
    Homes,
    Prefix,
    Usage,
    added,
    planned,
)

SERVERS = [UUID(int=number + 1) for number in range(20)]
EVEN = dict.fromkeys(SERVERS, 1.0)
PART = dict.fromkeys(SERVERS[:8], 1.0)
TIER = 2**32
"""More than this, a prefix has another number: of another tier of the same models."""
ZIPF = {number: 400 / (number + 1) for number in range(30)}


def usage(
    calls: Mapping[int, float], weights: Mapping[UUID, float] = EVEN, beside: float = 0.0
) -> Usage:
    """Calls with these prefixes, and `beside` that have none, shared out by weight."""
    each = (sum(calls.values()) + beside) / sum(weights.values())
    recent = {server: each * weight for server, weight in weights.items()}
    return Usage(recent, {key: Prefix(count, weights) for key, count in calls.items()})


def settled(used: Usage, before: Homes = NO_HOMES) -> Homes:
    for _ in range(10):
        before = planned(before, used)
    return before


def loads(homes: Homes, used: Usage) -> dict[UUID, float]:
    """Calls that each server gets, where sessions go home."""
    found = dict.fromkeys(used.recent, 0.0)
    for key, prefix in used.prefixes.items():
        at = homes.of.get(key) or tuple(prefix.weights)
        whole = sum(prefix.weights[server] for server in at)
        for server in at:
            found[server] += prefix.calls * prefix.weights[server] / whole
    return found


def test_a_rare_prefix_has_few_homes_and_a_frequent_one_many():
    homes = settled(usage({1: 1.0, 2: 100.0, 3: 200.0}, beside=700.0))
    assert [len(homes.of[key]) for key in (1, 2, 3)] == [LEAST_HOMES, 5, 10]


def test_one_that_most_calls_have_is_at_home_everywhere():
    assert settled(usage({1: 500.0, 2: 500.0})).of[1] == ()
    assert settled(usage({1: 10.0}, {SERVERS[0]: 1.0, SERVERS[1]: 1.0})).of[1] == ()


def test_servers_have_as_much_to_do_as_each_other():
    used = usage(ZIPF)
    found = loads(settled(used), used)
    assert max(found.values()) <= 1.25 * sum(found.values()) / len(found)


def test_by_weight():
    weights = {server: 1.0 + number % 3 for number, server in enumerate(SERVERS)}
    used = usage(ZIPF, weights)
    found = loads(settled(used), used)
    fair = sum(found.values()) / sum(weights.values())
    assert max(found[server] / weights[server] for server in SERVERS) <= 1.3 * fair


def test_a_plan_holds_while_calls_change_little():
    homes = settled(usage(ZIPF))
    for factor in (0.8, 1.2, 0.9):
        later = {key: calls * (factor if key % 2 else 1.0) for key, calls in ZIPF.items()}
        after = planned(homes, usage(later))
        moved = [key for key in ZIPF if set(after.of.get(key, ())) != set(homes.of.get(key, ()))]
        assert len(moved) <= 3


def moves(homes: Homes, after: Homes) -> int:
    """How many homes a plan takes from prefixes, or gives them."""
    at = [(set(homes.of[key] or SERVERS), set(after.of[key] or SERVERS)) for key in after.of]
    return sum(len(before ^ then) for before, then in at)


FEW = {number: 600 / (number + 1) for number in range(5)}
RARE = {number: 60 / (number + 1) for number in range(15)}


@pytest.mark.parametrize("mean", [FEW, RARE, ZIPF], ids=["few", "rare", "many"])
def test_what_chance_explains_moves_next_to_nothing(mean):
    """Also where servers cannot be even, since the prefixes are few."""
    chance, moved = Random(1), 0
    homes = settled(usage(mean, beside=100.0))
    for _ in range(100):
        calls = {key: max(0.1, chance.gauss(count, sqrt(count / 2))) for key, count in mean.items()}
        after = planned(homes, usage(calls, beside=100.0))
        moved += moves(homes, after)
        homes = after
    assert moved <= 20


@pytest.mark.parametrize("mean", [FEW, RARE, ZIPF], ids=["few", "rare", "many"])
def test_the_first_calls_after_a_restart_move_next_to_nothing(mean):
    chance, first = Random(1), settled(usage(mean))
    homes, calls = first, Counter[int]()
    for number in range(100):
        calls.update(chance.choices(list(mean), list(mean.values()), k=1 + number // 10))
        homes = planned(homes, usage(calls))
    assert moves(first, homes) <= 0.1 * sum(len(at or SERVERS) for at in first.of.values())


def test_a_prefix_that_grows_keeps_the_homes_it_has():
    homes = settled(usage({1: 10.0, 2: 500.0}, beside=500.0))
    grown = settled(usage({1: 200.0, 2: 500.0}, beside=500.0), homes)
    assert set(grown.of[1]) > set(homes.of[1])


@pytest.mark.parametrize("there", [10, 19])
def test_a_server_that_is_new_gets_its_part(there):
    """Also where no other has much more than its share."""
    homes = settled(usage(ZIPF, dict.fromkeys(SERVERS[:there], 1.0)))
    used = usage({key + TIER: calls for key, calls in ZIPF.items()})
    found = loads(settled(used, homes), used)
    fair = sum(found.values()) / len(found)
    assert all(calls >= 0.4 * fair for calls in found.values())


def test_one_that_shrinks_keeps_some_of_them():
    homes = settled(usage({1: 200.0}, beside=800.0))
    less = settled(usage({1: 10.0}, beside=990.0), homes)
    assert len(less.of[1]) == LEAST_HOMES < len(homes.of[1])
    assert set(less.of[1]) < set(homes.of[1])


def test_a_server_that_is_gone_is_made_up_for_and_the_others_stay():
    homes = settled(usage({1: 1.0, 2: 500.0}, beside=500.0))
    gone = homes.of[1][0]
    left = {server: 1.0 for server in SERVERS if server != gone}
    after = planned(homes, usage({1: 1.0, 2: 500.0}, left, beside=500.0))
    assert gone not in after.of[1]
    assert set(homes.of[1]) - {gone} < set(after.of[1])
    assert len(after.of[1]) == LEAST_HOMES


@pytest.mark.parametrize("change", ["gone", "come"])
def test_when_a_server_comes_or_goes_those_of_the_new_tier_are_at_home_where_they_were(change):
    """The tier has a new number then, and so has each prefix in it."""
    first, last = SERVERS[:-1], SERVERS
    then, now = (last, first) if change == "gone" else (first, last)
    old = usage(ZIPF, dict.fromkeys(then, 1.0), beside=500.0)
    homes = settled(old)
    new = usage({key + TIER: calls / 50 for key, calls in ZIPF.items()}, dict.fromkeys(now, 1.0))
    used = Usage(old.recent, {**old.prefixes, **new.prefixes})
    after = planned(homes, used)
    left = [set(homes.of[key]) & set(now) - set(after.of[key + TIER]) for key in ZIPF]
    assert sum(map(len, left)) <= MOST_SWAPS


def test_a_prefix_that_nobody_has_begun_with_of_late_stays_at_home():
    homes = settled(usage({1: 1.0, 2: 2.0}, beside=97.0))
    home = homes.of[1]
    for later in (usage({2: 2.0}, beside=97.0), usage({}), usage({1: 1.0}, beside=99.0)):
        homes = planned(homes, later)
        assert homes.of[1] == home


def test_but_not_of_a_tier_that_is_another_by_now():
    """Or each server that comes or goes would leave behind homes of its time, which add up."""
    homes = settled(usage({1: 1.0}, beside=100.0))
    assert set(planned(homes, usage({1 + TIER: 1.0}, beside=100.0)).of) == {1 + TIER}


def test_until_others_are_too_many():
    homes = settled(usage({-1: 1.0}, beside=1000.0))
    homes = planned(homes, usage(dict.fromkeys(range(MOST_PREFIXES - 1), 1.0), beside=1000.0))
    assert -1 in homes.of
    homes = planned(homes, usage(dict.fromkeys(range(MOST_PREFIXES), 1.0), beside=1000.0))
    assert len(homes.of) == MOST_PREFIXES
    assert -1 not in homes.of


def test_of_very_many_prefixes_the_most_frequent_are_planned():
    many = {number: 1.0 + number for number in range(10 * MOST_PREFIXES)}
    kept = added([usage(many)]).prefixes
    assert set(kept) == set(sorted(many)[-MOST_PREFIXES:])
    assert not added([usage({1: LEAST_CALLS / 2})]).prefixes


def test_of_very_many_that_are_equally_frequent_the_same_ones_stay_planned():
    chance, homes, new = Random(1), NO_HOMES, 0
    for _ in range(20):
        calls = {number: chance.gauss(20.0, sqrt(20.0 / 2)) for number in range(2 * MOST_PREFIXES)}
        after = planned(homes, added([usage(calls)], homes.of))
        new += len(after.of.keys() - homes.of.keys())
        homes = after
    assert new <= MOST_PREFIXES + 40


def test_one_that_is_far_more_frequent_takes_the_place_of_another():
    homes = planned(NO_HOMES, added([usage(dict.fromkeys(range(MOST_PREFIXES), 1.0))]))
    later = usage({**dict.fromkeys(range(MOST_PREFIXES), 1.0), -1: 6.0})
    assert -1 in planned(homes, added([later], homes.of)).of


def test_what_processes_counted_is_added_up():
    both = added([usage({1: 10.0}), usage({1: 20.0, 2: 5.0}, beside=75.0)])
    assert {key: prefix.calls for key, prefix in both.prefixes.items()} == {1: 30.0, 2: 5.0}
    assert sum(both.recent.values()) == pytest.approx(110.0)


calls = st.floats(LEAST_CALLS, 1e6)
sets = st.sampled_from([EVEN, PART, {SERVERS[0]: 2.0, SERVERS[10]: 0.01, SERVERS[19]: 1000.0}])


@st.composite
def used(draw: st.DrawFn) -> Usage:
    keys = draw(st.dictionaries(st.integers(0, 50), calls, max_size=20))
    recent = draw(st.dictionaries(st.sampled_from(SERVERS), calls))
    return Usage(recent, {key: Prefix(count, draw(sets)) for key, count in keys.items()})


@given(used(), used())
def test_every_plan_is_sound_whatever_was_used(first, then):
    after = planned(planned(NO_HOMES, first), then)
    assert after.recent == then.recent
    assert set(after.of) <= set(then.prefixes) | set(first.prefixes)
    for key, servers in after.of.items():
        weights = (then if key in then.prefixes else first).prefixes[key].weights
        assert len(set(servers)) == len(servers) < len(weights)
        assert len(servers) >= min(LEAST_HOMES, len(weights)) or not servers
        assert set(servers) < set(weights)
