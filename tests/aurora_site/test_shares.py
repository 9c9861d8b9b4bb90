"""Who holds most of what is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aurora_site.shares import Holders, Tally, subscriber


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.booleans())))
def test_the_greediest_is_always_one_of_those_that_hold_most(steps):
    tally, counts = Tally(), dict.fromkeys("abcd", 0)
    for owner, comes in steps:
        if comes:
            tally.add(owner)
            counts[owner] += 1
        elif counts[owner]:
            tally.remove(owner)
            counts[owner] -= 1
        assert tally.total == sum(counts.values())
        assert {each: tally.count(each) for each in counts} == counts
        if tally.total:
            assert counts[tally.greediest()] == max(counts.values())


def test_what_an_owner_holds_comes_oldest_first_and_goes_once():
    holders: Holders[int] = Holders()
    for held in (1, 2, 3):
        holders.add("a", held)
    holders.add("b", 4)

    assert holders.discard("a", 2)
    assert not holders.discard("a", 2)
    assert not holders.discard("c", 1)
    assert (list(holders.of("a")), holders.newest_of("a"), len(holders)) == ([1, 3], 3, 3)
    assert holders.greediest() == "a"
    assert [holders.discard("a", each) for each in (1, 3)] == [True, True]
    assert (holders.greediest(), list(holders.of("a"))) == ("b", [])


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("", ""),
        ("no address", ""),
    ],
)
def test_an_ipv6_subscriber_is_a_64(address, owner):
    assert subscriber(address) == owner
