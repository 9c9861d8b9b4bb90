"""What is counted of shared prefixes, and where the plan made of it sends sessions."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable

import pytest

from gateway.fleet.fleet import LOOK_SECONDS
from gateway.fleet.prefixes import MOST_COUNTED, Prefixes, number_in
from gateway.fleet.sight import RECENT_SECONDS, kept_after
from gateway.routing import Pool, Session, Target, Tier, Way
from providers.homes import MOST_PREFIXES, NOTHING_USED, Homes
from tests.gateway.fleet.servers import PATH, Servers, server, tier

NAMES = "abcdefghij"
ENTRIES = [server(name) for name in NAMES]
OF = tier("m", *ENTRIES)
KEYS = range(0, 2**32, 2**22)


def sessions(prefix: int | None, keys: Iterable[int] = KEYS) -> list[Session]:
    return [Session(key, prefix) for key in keys]


def number(of: Tier = OF, prefix: int = 7) -> int:
    found = number_in(of, Session(0, prefix))
    assert found is not None
    return found


# What is counted


def test_a_prefix_of_several_sessions_is_told_with_all_their_calls():
    prefixes = Prefixes()
    for session in [Session(1, 7), Session(1, 7), Session(2, 7)]:
        prefixes.note(session, OF)
    told = prefixes.told()[number()]
    assert told.calls == 3.0
    assert dict(told.weights) == {entry.id: 1.0 for entry in ENTRIES}


def test_one_session_alone_shares_nothing():
    prefixes = Prefixes()
    for _ in range(100):
        prefixes.note(Session(1, 7), OF)
        prefixes.note(Session(2, None), OF)
    assert prefixes.told() == {}


def test_calls_count_for_less_with_age():
    prefixes = Prefixes()
    for session in sessions(7, range(10)):
        prefixes.note(session, OF)
    prefixes.age(0.5)
    assert prefixes.told()[number()].calls == 5.0


def test_two_models_of_the_same_servers_have_prefixes_of_their_own():
    other = tier("m", *ENTRIES[:5])
    prefixes = Prefixes()
    for session in sessions(7, range(4)):
        prefixes.note(session, OF)
        prefixes.note(session, other)
    assert len(prefixes.told()) == 2
    assert number(tier("another name", *ENTRIES)) == number()


def test_tiers_that_share_out_the_same_servers_otherwise_have_prefixes_of_their_own():
    """Else it would be those of the last call which decide how many homes there are."""
    ways = [Way(Target(entry, "m"), PATH) for entry in ENTRIES]
    uneven, twice = (Tier.of("m", ways, weights) for weights in (range(1, 11), [2.0] * 10))
    assert number(uneven) != number()
    assert number(twice) == number()


def test_what_nobody_has_begun_with_for_long_is_not_kept():
    """It holds on to a tier, and that to servers as they were then."""
    prefixes = Prefixes()
    for session in sessions(7, range(10)):
        prefixes.note(session, OF)
    prefixes.age(kept_after(10 * RECENT_SECONDS))
    assert not prefixes._counted


def test_a_flood_of_made_up_prefixes_neither_grows_nor_drives_out_what_is_frequent():
    prefixes = Prefixes()
    for round in range(5):
        for session in sessions(7, range(50)):
            prefixes.note(session, OF)
        for made_up in range(10 * MOST_COUNTED):
            for key in range(2):
                prefixes.note(Session(key, made_up + 100_000 * (round + 1)), OF)
        assert len(prefixes._counted) <= 2 * MOST_COUNTED
        prefixes.age(0.99)
    told = prefixes.told()
    assert len(told) == MOST_PREFIXES
    assert next(iter(told)) == number()


def test_those_that_are_planned_are_told_before_others():
    prefixes = Prefixes()
    for prefix in range(MOST_PREFIXES + 1):
        for session in sessions(prefix, range(3 if prefix else 2)):
            prefixes.note(session, OF)
    assert number(OF, 0) not in prefixes.told()
    assert number(OF, 0) in prefixes.told({number(OF, 0)})


# Where it leads


def pool(of: Tier) -> Pool:
    return Pool("m", (of,), "affinity", 10, 1.0)


def firsts(servers: Servers, found: Iterable[Session], usable: Iterable[int] = ()) -> Counter[str]:
    of = servers.tier()
    able = list(usable) or range(len(of.ways))
    chosen = (next(servers.fleet.ordered(pool(of), of, able, session)) for session in found)
    return Counter(of.ways[at].provider.name for at in chosen)


def at_home(servers: Servers, *names: str) -> Homes:
    ids = {entry.name: entry.id for entry in ENTRIES}
    return Homes(of={number(servers.tier()): tuple(ids[name] for name in names)})


def test_sessions_go_where_their_prefix_is_at_home_and_others_anywhere():
    servers = Servers(*ENTRIES)
    servers.observe({}, homes=at_home(servers, "b", "d", "f"))
    assert set(firsts(servers, sessions(7))) == {"b", "d", "f"}
    assert set(firsts(servers, sessions(8))) == set(firsts(servers, sessions(None))) == set(NAMES)


def test_a_new_plan_holds_at_once():
    servers = Servers(*ENTRIES)
    servers.observe({}, homes=at_home(servers, "b", "d", "f"))
    firsts(servers, sessions(7))
    servers.observe({}, homes=at_home(servers, "a", "d", "f"))
    assert set(firsts(servers, sessions(7))) == {"a", "d", "f"}


@pytest.mark.parametrize(
    ("usable", "found"), [([0, 1, 2], {"b"}), ([0, 2, 4], {"a", "c", "e"})], ids=["some", "none"]
)
def test_homes_that_take_no_calls_are_none(usable, found):
    servers = Servers(*ENTRIES)
    servers.observe({}, homes=at_home(servers, "b", "d", "f"))
    assert set(firsts(servers, sessions(7), usable)) == found


@pytest.mark.parametrize("now", [ENTRIES[:9], [*ENTRIES, server("k")]], ids=["gone", "come"])
def test_when_a_server_comes_or_goes_sessions_stay_at_home_before_it_is_planned(now):
    servers = Servers(*ENTRIES)
    servers.observe({}, homes=at_home(servers, "b", "d", "f"))
    before = number(servers.tier())
    servers.publish(*now)
    assert number(servers.tier()) != before
    assert set(firsts(servers, sessions(7))) == {"b", "d", "f"}


def test_one_that_is_planned_to_be_everywhere_is_not_where_its_kin_is():
    servers = Servers(*ENTRIES)
    homes = at_home(servers, "b", "d", "f")
    servers.publish(*ENTRIES[:9])
    servers.observe({}, homes=Homes(of={**homes.of, number(servers.tier()): ()}))
    assert set(firsts(servers, sessions(7))) == set(NAMES[:9])


def test_another_model_is_no_kin():
    servers = Servers(*ENTRIES)
    ways = [Way(Target(entry, "other"), PATH) for entry in ENTRIES]
    of = Tier.of("other", ways, [1.0] * len(ways))
    servers.observe({}, homes=at_home(servers, "b", "d", "f"))
    found = (next(servers.fleet.ordered(pool(of), of, range(10), each)) for each in sessions(7))
    assert len(set(found)) == len(NAMES)


def test_a_home_whose_provider_is_gone_is_none():
    servers = Servers(*ENTRIES)
    homes = at_home(servers, "b", "d", "f")
    servers.publish(*[entry for entry in ENTRIES if entry.name != "b"])
    servers.observe({}, homes=Homes(of={number(servers.tier()): homes.of[number()]}))
    assert set(firsts(servers, sessions(7))) == {"d", "f"}


def test_what_all_processes_sent_of_late_decides_who_draws_fewer_sessions():
    """And not what this one did: all have to find the same."""
    servers = Servers(*ENTRIES)
    before = firsts(servers, sessions(None))
    recent = {entry.id: 300.0 if entry.name == "a" else 100.0 for entry in ENTRIES[:9]}
    servers.clock.seconds += LOOK_SECONDS
    servers.observe({}, homes=Homes(recent))
    after = firsts(servers, sessions(None))
    assert after["a"] < before["a"] / 2
    assert after["j"] >= before["j"]


def test_what_is_told_is_what_this_process_sent():
    servers = Servers(*ENTRIES)
    firsts(servers, sessions(7))
    assert not servers.fleet.usage().recent
    of = servers.tier()
    for session in sessions(7, range(3)):
        servers.fleet.note_prefix(session, of)
        servers.fleet.give_back(servers.fleet.take(of.ways[0], servers.fleet.sights(of)[0]))
    used = servers.fleet.usage()
    assert used.recent == {**dict.fromkeys(servers.fleet._sights, 0.0), ENTRIES[0].id: 3.0}
    assert used.prefixes[number(of)].calls == 3.0


def test_of_a_process_that_gets_no_more_calls_nothing_is_told_in_the_end():
    """Nobody looks then, and it would have a say in the plan for ever."""
    servers = Servers(*ENTRIES)
    firsts(servers, sessions(7))
    of = servers.tier()
    for session in sessions(7, range(3)):
        servers.fleet.note_prefix(session, of)
        servers.fleet.give_back(servers.fleet.take(of.ways[0], servers.fleet.sights(of)[0]))
    servers.clock.seconds += RECENT_SECONDS
    used = servers.fleet.usage()
    assert used.recent[ENTRIES[0].id] == pytest.approx(3 / math.e)
    assert used.prefixes[number(of)].calls == pytest.approx(3 / math.e)
    servers.clock.seconds += 10 * RECENT_SECONDS
    assert servers.fleet.usage() == NOTHING_USED
