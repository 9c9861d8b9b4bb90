"""Policies: each usable way once, the best first."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from math import ceil, sqrt
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.routing import POLICIES, Choice, Target, Tier, Way, order, strains
from gateway.routing.choosing import BOUND, CHANCE, EVIDENCE, LEAST, STRAIN
from tests.gateway.pure.snapshots import provider

KEYS = 10_000


def tier(weights: Sequence[float], start: int = 0) -> Tier:
    ways = [
        Way(Target(provider(f"gpu-{start + number}", "m"), "m"), "/v1/chat/completions")
        for number in range(len(weights))
    ]
    return Tier.of("m", ways, weights)


EVEN = tier([1.0] * 10)


def choice(
    of: Tier,
    key: int = 0,
    turn: int = 0,
    calls: Sequence[float] = (),
    usable: Sequence[int] = (),
    *,
    strain: Sequence[float] = (),
    homes: Sequence[int] = (),
) -> Choice:
    size = len(of.ways)
    return Choice(of, usable or range(size), calls or [0.0] * size, key, turn, strain, homes)


def keys(number: int = KEYS) -> list[int]:
    chance = Random(7)
    return [chance.getrandbits(32) for _ in range(number)]


def firsts(of: Tier, usable: Sequence[int] = (), strain: Sequence[float] = ()) -> list[int]:
    """Where each of the keys goes while nobody is loaded."""
    calls = [0.0] * len(of.ways)
    return [
        next(order("affinity", choice(of, key, 0, calls, usable, strain=strain))) for key in keys()
    ]


def bound(fair: float) -> int:
    return max(LEAST, ceil(BOUND * fair + CHANCE * sqrt(fair)))


weights = st.sampled_from([0.01, 0.5, 1.0, 2.0, 3.0, 10.0, 1000.0])
loads = st.integers(0, 40).map(float) | st.floats(0, 100)


@st.composite
def choices(draw: st.DrawFn) -> Choice:
    size = draw(st.integers(1, 12))
    shares = draw(st.just([2.0] * size) | st.lists(weights, min_size=size, max_size=size))
    usable = draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True)).copy()
    calls = draw(st.lists(loads, min_size=size, max_size=size))
    key, turn = draw(st.integers(0, 2**32 - 1)), draw(st.integers(0, 10_000))
    strain = draw(st.just(()) | st.lists(st.floats(1, 1e6), min_size=size, max_size=size))
    homes = [number for number in sorted(usable) if draw(st.booleans())]
    return Choice(tier(shares), sorted(usable), calls, key, turn, strain, homes)


@pytest.mark.parametrize("policy", POLICIES)
@given(choices())
def test_every_usable_way_comes_exactly_once(policy, made):
    assert sorted(order(policy, made)) == list(made.usable)


@given(choices())
def test_affinity_never_prefers_a_server_over_its_bound_to_one_under_it(made):
    total = sum(made.calls[number] for number in made.usable) + 1
    whole = sum(made.tier.weights[number] for number in made.usable)
    found = list(order("affinity", made))
    within = [
        made.calls[number] < bound(total / whole * made.tier.weights[number]) for number in found
    ]
    assert within[0]
    assert within == sorted(within, reverse=True)


# Affinity


@given(choices())
def test_the_first_is_the_nearest_of_those_within_the_bound(made):
    """By distance and strain, the homes before the others: however it was found."""
    whole = sum(made.tier.weights[number] for number in made.usable)
    fair = (sum(made.calls[number] for number in made.usable) + 1) / whole
    distances = made.tier.distances.of(made.key, range(len(made.tier.ways)))

    def rank(number: int) -> tuple[bool, float]:
        strain = made.strain[number] if made.strain else 1.0
        return number not in made.homes, distances[number] * strain

    within = [n for n in made.usable if made.calls[n] < bound(fair * made.tier.weights[n])]
    assert rank(next(order("affinity", made))) == min(map(rank, within))


def test_the_first_choices_never_change():
    """A change here moves every session of every installation to a server that knows nothing of
    it."""
    known = [1, 2, 3, 1_000_000, 2**31, 2**32 - 1]
    assert [next(order("affinity", choice(EVEN, key))) for key in known] == [4, 6, 0, 9, 0, 1]
    uneven = tier([1.0, 2.0, 3.0])
    assert [next(order("affinity", choice(uneven, key))) for key in known] == [0, 2, 2, 2, 2, 1]


ELSEWHERE = """
from tests.gateway.pure.routing.test_choosing import EVEN, choice, keys, order
print([next(order("affinity", choice(EVEN, key))) for key in keys(200)])
"""


def test_another_process_chooses_the_same():
    ran = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == str(firsts(EVEN)[:200])


def test_a_server_that_goes_moves_its_own_sessions_alone():
    before = firsts(EVEN)
    after = firsts(EVEN, usable=[number for number in range(10) if number != 3])
    assert all(was in (3, now) for was, now in zip(before, after, strict=True))
    assert 3 not in after


def test_its_sessions_spread_over_the_others():
    before = firsts(EVEN)
    after = firsts(EVEN, usable=[number for number in range(10) if number != 3])
    gone = Counter(now for was, now in zip(before, after, strict=True) if was == 3)
    assert len(gone) == 9
    assert max(gone.values()) < 0.3 * gone.total()


def test_a_server_that_comes_takes_its_share_of_sessions_and_moves_no_other():
    before, after = firsts(EVEN), firsts(tier([1.0] * 11))
    moved = [now for was, now in zip(before, after, strict=True) if was != now]
    assert set(moved) == {10}
    assert len(moved) == pytest.approx(KEYS / 11, rel=0.2)


@pytest.mark.parametrize("size", [2, 3, 10, 50])
def test_sessions_spread_evenly(size):
    """Ten times what chance would leave, by chi-square; and none has half as many again."""
    counts = Counter(firsts(tier([1.0] * size)))
    fair = KEYS / size
    assert len(counts) == size
    assert sum((counts[n] - fair) ** 2 / fair for n in range(size)) < 10 * size + 40
    assert max(counts.values()) < 1.5 * fair


def test_double_the_weight_draws_double_the_sessions():
    counts = Counter(firsts(tier([1.0, 2.0, 1.0, 2.0, 4.0])))
    for number, weight in enumerate([1.0, 2.0, 1.0, 2.0, 4.0]):
        assert counts[number] == pytest.approx(KEYS * weight / 10, rel=0.15)


@pytest.mark.parametrize("heavy", [10.0, 1000.0, 1e5])
def test_the_light_ones_share_evenly_what_a_heavy_one_leaves(heavy):
    found = Counter(firsts(tier([heavy, 1.0, 1.0, 1.0, 1.0]), usable=[1, 2, 3, 4]))
    assert max(found.values()) < 1.1 * KEYS / 4


def test_a_session_leaves_its_server_over_the_bound_and_comes_back_under_it():
    key = keys()[0]
    ranked = list(order("affinity", choice(EVEN, key)))
    best, second = ranked[:2]

    def first(busy: float) -> int:
        calls = [4.0] * 10
        calls[best] = busy
        return next(order("affinity", choice(EVEN, key, 0, calls)))

    # (36 + 9 + 1) / 10 is fair: 1.25 times that, and two of its roots, are 10.04 and 10.19
    assert (first(9.0), first(11.0), first(9.0)) == (best, second, best)


def test_a_few_calls_at_once_stay_together_where_hardly_anybody_calls():
    key = keys()[0]
    best = next(order("affinity", choice(EVEN, key)))
    calls, found = [0.0] * 10, []
    for _ in range(5):
        found.append(next(order("affinity", choice(EVEN, key, 0, calls))))
        calls[found[-1]] += 1
    assert found[:3] == [best] * 3
    assert best not in found[3:]


def test_behind_those_within_the_bound_the_least_loaded_comes_first():
    few = tier([1.0] * 4)
    found = list(order("affinity", choice(few, 5, 0, [1002.0, 0.0, 1000.0, 1001.0])))
    assert found == [1, 2, 3, 0]


def test_what_does_not_take_calls_does_not_count_for_the_bound():
    few = tier([1.0] * 3)
    calls = [1000.0, 20.0, 0.0]
    assert {next(order("affinity", choice(few, key, 0, calls, [1, 2]))) for key in keys(50)} == {2}


# Strain


def test_nobody_is_strained_who_has_had_no_more_than_its_share():
    assert strains(EVEN, [0.0] * 10) == strains(EVEN, [70.0] * 10) == ()
    assert strains(tier([1.0, 3.0]), [20.0, 60.0]) == ()
    found = strains(EVEN, [20.0] * 8 + [10.0, 30.0])
    assert list(found[:9]) == [1.0] * 9
    few = EVIDENCE / 20
    assert found[9] == pytest.approx(((30 + few) / (20 + few)) ** STRAIN)


def test_strain_is_by_weight_and_a_few_calls_are_none_to_speak_of():
    assert strains(tier([1.0, 3.0]), [40.0, 40.0])[1] == 1.0
    assert 1.0 < strains(EVEN, [1.0] + [0.0] * 9)[0] < 2.2


@given(choices())
def test_the_same_strain_for_all_changes_nothing(made):
    size = len(made.tier.ways)
    calls = [0.0] * size
    without, alike = (
        choice(made.tier, made.key, 0, calls, made.usable, strain=strain)
        for strain in ((), [2.0**10] * size)
    )
    assert list(order("affinity", without)) == list(order("affinity", alike))


def test_sessions_leave_the_strained_one_alone_and_always_the_same_do():
    strain = [1.0] * 3 + [2.0] + [1.0] * 6
    before, after = firsts(EVEN), firsts(EVEN, strain=strain)
    assert all(was in (3, now) for was, now in zip(before, after, strict=True))
    assert after == firsts(EVEN, strain=strain)
    kept, had = after.count(3), before.count(3)
    assert 0.4 < kept / had < 0.6


def test_sessions_that_hash_unevenly_are_evened_out():
    """Calls of a thousand sessions over fifty servers, some of which hashing alone makes busier by
    half than is fair: with strain all get about as many, and nine calls in ten go where the
    session's last one went."""
    few, chance = tier([1.0] * 50), Random(3)
    sessions, fair = keys(1000), 200
    plain, recent, returned = [0.0] * 50, [0.0] * 50, 0
    last: dict[int, int] = {}
    for _ in range(50 * fair):
        key = chance.choice(sessions)
        plain[next(order("affinity", choice(few, key)))] += 1
        chosen = next(order("affinity", choice(few, key, strain=strains(few, recent))))
        recent[chosen] += 1
        returned += last.setdefault(key, chosen) == chosen
        last[key] = chosen
    assert max(plain) > 1.4 * fair
    assert max(recent) < 1.25 * fair
    assert returned > 0.9 * 50 * fair


# Homes


@given(choices())
def test_homes_come_before_the_others_that_are_within_the_bound(made):
    found = list(order("affinity", made))
    fair = (sum(made.calls[n] for n in made.usable) + 1) / sum(
        made.tier.weights[n] for n in made.usable
    )
    within = [n for n in found if made.calls[n] < bound(fair * made.tier.weights[n])]
    at_home = [n in made.homes for n in within]
    assert at_home == sorted(at_home, reverse=True)


def test_sessions_of_one_prefix_spread_over_its_homes_alone():
    found = Counter(next(order("affinity", choice(EVEN, key, homes=[1, 4, 7]))) for key in keys())
    assert set(found) == {1, 4, 7}
    assert max(found.values()) < 0.4 * KEYS


def test_one_more_home_moves_the_sessions_that_it_gets_and_no_other():
    few, more = (
        [next(order("affinity", choice(EVEN, key, homes=homes))) for key in keys()]
        for homes in ([1, 4, 7], [1, 4, 7, 9])
    )
    moved = [now for was, now in zip(few, more, strict=True) if was != now]
    assert set(moved) == {9}
    assert len(moved) == pytest.approx(KEYS / 4, rel=0.2)


def test_where_all_homes_are_over_the_bound_the_session_goes_where_it_would_without():
    key, calls = keys()[0], [0.0] * 10
    for home in (1, 4):
        calls[home] = 100.0
    found = list(order("affinity", choice(EVEN, key, 0, calls, homes=[1, 4])))
    others = [number for number in order("affinity", choice(EVEN, key)) if number not in (1, 4)]
    assert found[:8] == others


# Least loaded


@given(choices())
def test_the_least_loaded_for_its_weight_comes_first(made):
    shares, calls = made.tier.weights, made.calls
    found = list(order("least_loaded", made))
    even = made.tier.is_even
    asked = [calls[n] if even else (calls[n] + 1) / shares[n] for n in found]
    assert asked == sorted(asked)


def test_those_that_have_as_few_take_turns():
    few, calls = tier([1.0] * 4), [1.0, 0.0, 0.0, 0.0]
    found = [next(order("least_loaded", choice(few, 0, turn, calls))) for turn in range(400)]
    assert set(found) == {1, 2, 3}
    assert min(Counter(found).values()) >= 100


def test_servers_that_fill_up_do_so_by_their_weights():
    shares = [1.0, 2.0, 5.0]
    calls = [0.0] * 3
    for turn in range(80):
        calls[next(order("least_loaded", choice(tier(shares), 0, turn, list(calls))))] += 1
    assert calls == [10.0, 20.0, 50.0]


# Round robin, random


def test_even_servers_take_exact_turns():
    few = tier([3.0] * 4)
    found = [next(order("round_robin", choice(few, 0, turn))) for turn in range(8)]
    assert found == [0, 1, 2, 3, 0, 1, 2, 3]
    assert list(order("round_robin", choice(few, 0, 2))) == [2, 3, 0, 1]


def test_those_that_can_be_taken_take_turns_among_themselves():
    few = tier([1.0] * 4)
    found = [next(order("round_robin", choice(few, 0, turn, usable=[0, 3]))) for turn in range(4)]
    assert found == [0, 3, 0, 3]


@pytest.mark.parametrize("usable", [[0, 1, 2, 3], [1, 3]])
def test_uneven_servers_take_turns_by_weight_at_any_time(usable):
    """Over any hundred turns, not only in the long run."""
    shares = [1.0, 2.0, 3.0, 4.0]
    whole = sum(shares[number] for number in usable)
    made = tier(shares)
    found = (
        next(order("round_robin", choice(made, 0, turn, usable=usable))) for turn in range(1000)
    )
    while hundred := list(islice(found, 100)):
        counts = Counter(hundred)
        for number in usable:
            assert counts[number] == pytest.approx(100 * shares[number] / whole, abs=3)


@pytest.mark.parametrize("usable", [[0, 1, 2, 3], [0, 2]])
def test_random_draws_by_weight(usable):
    shares = [1.0, 2.0, 3.0, 4.0]
    whole = sum(shares[number] for number in usable)
    made = choice(tier(shares), usable=usable)
    counts = Counter(next(order("random", made)) for _ in range(KEYS))
    for number in usable:  # some ten standard deviations
        assert counts[number] == pytest.approx(KEYS * shares[number] / whole, abs=500)


def two_models(*weights: float) -> Tier:
    """Each of two servers by two models; the weights are the models'."""
    servers = [provider("gpu-0", "base", "tuned"), provider("gpu-1", "base", "tuned")]
    ways = [
        Way(Target(server, model), "/v1/chat/completions")
        for model in ("base", "tuned")
        for server in servers
    ]
    return Tier.of("m", ways, [weight for weight in weights for _ in servers])


@pytest.mark.parametrize("policy", POLICIES)
def test_models_of_the_same_servers_have_their_shares_of_the_calls(policy):
    of = two_models(9.0, 1.0)
    got = [
        next(order(policy, choice(of, key, turn, [20.0, 21.0, 20.0, 21.0])))
        for turn, key in enumerate(keys(5000))
    ]
    assert sum(number >= 2 for number in got) / len(got) == pytest.approx(0.1, abs=0.02)
    if policy != "least_loaded":
        assert got.count(1) == pytest.approx(got.count(0), rel=0.1)


def test_a_session_stays_with_its_model_also_where_a_server_goes():
    of = two_models(1.0, 1.0)
    whole, half = firsts(of), firsts(of, usable=[0, 2])
    assert [number // 2 for number in whole] == [number // 2 for number in half]


def test_a_server_is_as_strained_by_each_of_its_models_as_by_one():
    once = strains(tier([1.0, 1.0]), [30.0, 10.0])
    assert strains(two_models(0.9, 0.1), [30.0, 10.0] * 2) == pytest.approx([*once, *once])
