"""Aliases that lead to aliases become flat tiers; cycles are named, and never followed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.aliases import (
    MOST_RESOLVED_TARGETS,
    Written,
    leads_to,
    resolve,
)
from providers.snapshot import TargetEntry

NAMES = ("a", "b", "c", "d", "e")


def to(model: str, weight: float = 1.0, provider: str = "") -> TargetEntry:
    return TargetEntry(provider, model, weight)


def tiers(written: Written, name: str = "a") -> list[list[TargetEntry]]:
    return [list(tier) for tier in resolve(written).tiers[name]]


def test_tiers_are_in_the_order_of_their_numbers_and_no_number_is_needed():
    assert tiers({"a": [(7, to("n")), (2, to("m")), (7, to("o"))]}) == [
        [to("m")],
        [to("n"), to("o")],
    ]


def test_an_alias_puts_its_tiers_where_it_stands_by_its_weight():
    written = {
        "a": [(1, to("x", 2)), (1, to("b", 3)), (2, to("z"))],
        "b": [(1, to("p", 1)), (1, to("q", 2)), (2, to("r", 5))],
    }
    assert tiers(written) == [[to("x", 2), to("p", 1), to("q", 2)], [to("r", 3)], [to("z")]]


def test_two_aliases_in_a_tier_stand_side_by_side():
    written = {
        "a": [(1, to("b")), (1, to("c"))],
        "b": [(1, to("p")), (2, to("q"))],
        "c": [(1, to("p")), (2, to("r"))],
    }
    assert tiers(written) == [[to("p", 2)], [to("q"), to("r")]]


def test_its_own_name_is_the_model_of_that_id():
    written = {"m": [(1, to("m"))], "a": [(1, to("m"))]}
    assert resolve(written).cycles == ()
    assert tiers(written, "m") == tiers(written, "a") == [[to("m")]]


def test_with_a_provider_it_is_a_model_whatever_aliases_there_are():
    written = {"a": [(1, to("b", provider="p"))], "b": [(1, to("a", provider="p"))]}
    assert resolve(written).cycles == ()
    assert tiers(written) == [[to("b", provider="p")]]


@pytest.mark.parametrize("size", [2, 3, 5])
def test_a_cycle_is_named_in_the_order_it_is_followed(size):
    names = NAMES[:size]
    written = {n: [(1, to(names[(i + 1) % size])), (1, to("m"))] for i, n in enumerate(names)}
    found = resolve(written)
    [cycle] = found.cycles
    start = names.index(cycle[0])
    assert cycle == (*names[start:], *names[:start], cycle[0])
    assert set(found.tiers.values()) == {((to("m"),),)}


def test_what_leads_into_a_cycle_keeps_what_is_left_of_it():
    written = {
        "a": [(1, to("b"))],
        "b": [(1, to("c")), (1, to("m"))],
        "c": [(1, to("b")), (1, to("n"))],
    }
    assert tiers(written) == [[to("m")]]


def test_a_long_chain_is_followed_to_its_end():
    written = {f"a{n}": [(1, to(f"a{n + 1}"))] for n in range(3000)}
    assert tiers(written, "a0") == [[to("a3000")]]
    written["a2999"] = [(1, to("a0"))]
    [cycle] = resolve(written).cycles
    assert len(cycle) == 3001


def test_what_an_alias_leads_to_is_bounded():
    written = {"a": [(n, to(f"b{n}")) for n in range(1, 9)]}
    written |= {f"b{n}": [(1, to(f"m{n}-{k}")) for k in range(100)] for n in range(1, 9)}
    found = resolve(written)
    assert sum(map(len, found.tiers["a"])) == MOST_RESOLVED_TARGETS
    assert found.shortened == ("a",)


def test_weights_do_not_vanish_in_the_deep():
    written = {f"a{n}": [(1, to(f"a{n + 1}", 0.01)), (1, to("m", 1000))] for n in range(200)}
    assert all(target.weight > 0 for target in resolve(written).tiers["a0"][0])


targets = st.builds(
    TargetEntry,
    provider=st.sampled_from(("", "", "", "p")),
    model=st.sampled_from((*NAMES, "m", "n")),
    weight=st.sampled_from((0.01, 0.5, 1.0, 7.0, 1000.0)),
)
tables = st.dictionaries(
    st.sampled_from(NAMES), st.lists(st.tuples(st.integers(1, 4), targets), max_size=6)
)


@given(tables)
def test_every_table_resolves_to_targets_that_are_no_aliases(written):
    found = resolve(written)
    assert list(found.tiers) == list(written)
    own = {name for name, rows in written.items() if _own(name, rows)}
    for tier in [tier for each in found.tiers.values() for tier in each]:
        assert tier
        for target in tier:
            assert target.weight > 0
            assert target.provider or target.model not in set(written) - own


def _own(name: str, rows: list[tuple[int, TargetEntry]]) -> set[str]:
    """The ids by which an alias means the model of its own name."""
    return {each.model for _, each in rows if not each.provider and each.model == name}


@given(tables)
def test_a_cycle_is_there_or_is_not_as_following_the_targets_shows(written):
    cycles = resolve(written).cycles
    following = {n: {leads_to(n, each, written) for _, each in written[n]} for n in written}
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert len(cycle) > 2
        assert all(after in following[name] for name, after in pairwise(cycle))
    if not cycles:
        for start in written:
            assert start not in _reached(start, following)


def _reached(start: str, following: dict[str, set[str | None]]) -> set[str | None]:
    seen: set[str | None] = set()
    ahead = list(following[start])
    while ahead:
        name = ahead.pop()
        if name is not None and name not in seen:
            seen.add(name)
            ahead += following[name]
    return seen


@given(tables)
def test_the_weights_of_a_first_tier_add_up_to_those_that_were_written(written):
    found = resolve(written)
    if found.cycles:
        return
    for name, rows in written.items():
        led = {n: leads_to(name, each, written) for n, (_, each) in enumerate(rows)}
        if any(other and not found.tiers[other] for other in led.values()) or not rows:
            continue
        first = min(number for number, _ in rows)
        expected = sum(each.weight for number, each in rows if number == first)
        assert sum(each.weight for each in found.tiers[name][0]) == pytest.approx(expected)
