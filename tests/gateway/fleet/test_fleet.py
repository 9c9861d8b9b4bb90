"""The servers together: what is taken in, who gets a place, and who waits for one."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from gateway.fleet import LineFull, Patience, Place, Sight
from gateway.fleet.breaker import MOST_IN_A_ROW
from gateway.fleet.fleet import LOOK_SECONDS
from gateway.fleet.sight import HALVED_SECONDS, RECENT_SECONDS
from gateway.routing import Pool, Session, Target, Tier
from providers.observed import Observation, Observed, Report, State
from tests.gateway.fleet.servers import Servers, server, tier
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio
ME, OTHER = UUID(int=1), UUID(int=2)
A, B = server("a"), server("b")
ONE = server("a", max_concurrency=1)
ONE_B = server("b", max_concurrency=1)


def take(servers: Servers, of: Tier | None = None) -> Place:
    """The first way's."""
    of = of or servers.tier()
    return servers.fleet.take(of.ways[0], servers.fleet.sights(of)[0])


def wait(
    servers: Servers, of: Tier | None = None, owner: UUID = ME, **given: Any
) -> asyncio.Task[Place | None]:
    still = given.pop("still", lambda: True)
    patience = Patience(owner, **{"most_calls": 10, "seconds": 60.0, **given})
    return asyncio.create_task(servers.fleet.wait(of or servers.tier(), patience, still))


async def settled() -> None:
    """Whatever can go on, has."""
    for _ in range(5):
        await asyncio.sleep(0)


def nothing_is_left(servers: Servers) -> bool:
    fleet = servers.fleet
    return fleet._waiting == {} and all(s.in_flight == 0 for s in fleet._sights.values())


# What is known


async def test_a_look_takes_in_the_newest_snapshot_and_observations():
    servers = Servers(A)
    servers.publish(replace(A, draining=True), B)
    servers.observe({B.id: Observation(State.UNHEALTHY, "silent")})

    assert servers.fleet.look() is servers.catalog.current()
    a, b = servers.fleet.sights(servers.tier())
    assert (a.entry.draining, a.admits(0.0)) == (True, False)
    assert (b.observation.reason, b.admits(0.0)) == ("silent", False)


async def test_what_was_observed_ages_between_reports_from_the_age_it_came_with():
    servers = Servers(A)
    servers.observe({A.id: Observation(running=8, looked=servers.clock() - HALVED_SECONDS)})
    (sight,) = servers.fleet.sights(servers.tier())
    assert sight.calls == pytest.approx(4.0)

    servers.clock.seconds += HALVED_SECONDS
    servers.fleet.look()

    assert sight.calls == pytest.approx(2.0)


async def test_within_a_second_a_look_costs_nothing():
    servers = Servers(A)
    servers.observe({A.id: Observation(running=8, looked=servers.clock())})
    (sight,) = servers.fleet.sights(servers.tier())
    servers.clock.seconds += LOOK_SECONDS / 2
    servers.fleet.look()
    assert sight.calls == 8.0


async def test_own_calls_are_not_counted_twice():
    servers = Servers(A)
    place = take(servers)
    servers.observe({A.id: Observation(running=3, looked=servers.clock())})
    assert place.sight.calls == 3.0


async def test_processes_share_a_cap_rounded_up():
    servers = Servers(server("a", max_concurrency=5))
    servers.observe({}, processes=2)
    (sight,) = servers.fleet.sights(servers.tier())
    assert sight.share == 3
    servers.observe({}, processes=5)
    assert sight.share == 1


async def test_a_provider_that_is_gone_is_forgotten_once_it_is_idle():
    servers = Servers(A, B)
    place = take(servers)
    servers.publish(B)
    assert A.id in servers.fleet._sights

    servers.fleet.give_back(place)
    servers.observe({})

    assert set(servers.fleet._sights) == {B.id}


async def test_a_tier_that_is_held_longer_than_its_server_is_there_calls_nobody_up():
    servers = Servers(ONE, look_seconds=0.01)
    of, place = servers.tier(), take(servers)
    waiting = wait(servers, of, still=lambda: bool(servers.fleet.sights(of)[0].allows(0.0)))
    await settled()

    servers.publish(B)
    assert not servers.fleet.sights(of)[0].allows(0.0)
    servers.fleet.give_back(place)
    servers.observe({})
    await settled()

    assert not servers.fleet.sights(of)[0].allows(0.0)
    assert set(servers.fleet._sights) == {B.id}
    assert await waiting is None
    assert nothing_is_left(servers)


async def test_a_server_that_is_there_again_takes_calls():
    servers = Servers(A)
    place = take(servers)
    servers.publish()
    servers.publish(A)

    assert servers.fleet.sights(servers.tier())[0].admits(0.0)
    servers.fleet.give_back(place)


async def test_a_tier_that_nobody_holds_is_forgotten():
    servers = Servers(A)
    servers.fleet.sights(servers.tier())
    gc.collect()
    assert len(servers.fleet._of_tier) == 0


# Where a call goes


def pool(of: Tier, policy: str) -> Pool:
    return Pool("m", (of,), policy, 10, 1.0)


async def test_a_call_of_no_session_goes_where_the_load_is_least():
    servers = Servers(A, B)
    of = servers.tier()
    take(servers, of)
    for _ in range(5):
        assert next(servers.fleet.ordered(pool(of, "affinity"), of, range(2), None)) == 1


async def test_who_was_sent_more_than_its_share_of_late_draws_fewer_sessions_for_some_minutes():
    servers = Servers(A, B)
    of = servers.tier()

    def drawn() -> int:
        servers.clock.seconds += LOOK_SECONDS
        servers.fleet.look()
        keys = range(0, 2**32, 2**24)
        return sum(
            next(servers.fleet.ordered(pool(of, "affinity"), of, range(2), Session(key))) == 0
            for key in keys
        )

    before = drawn()
    for _ in range(100):
        servers.fleet.give_back(take(servers, of))
    after = drawn()
    servers.clock.seconds += 10 * RECENT_SECONDS

    assert after < before / 2
    assert drawn() == pytest.approx(before, rel=0.05)


@pytest.mark.parametrize(("size", "sessions"), [(2, 1), (10, 1), (10, 3)])
async def test_no_session_leaves_its_server_for_its_own_calls(size, sessions):
    """There is no other to even them out with; and the next server would be as busy soon after."""
    servers = Servers(*(server(f"s{number}") for number in range(size)))
    of, fleet = servers.tier(), servers.fleet
    went: dict[int, list[int]] = {}
    for _ in range(300):
        for key in range(2**30, 2**32, 2**32 // sessions):
            fleet.look()
            number = next(fleet.ordered(pool(of, "affinity"), of, range(size), Session(key)))
            sight = fleet.sights(of)[number]
            fleet.note_sent(Session(key), sight)
            fleet.give_back(fleet.take(of.ways[number], sight))
            went.setdefault(key, []).append(number)
        servers.clock.seconds += LOOK_SECONDS

    moves = [sum(a != b for a, b in pairwise(numbers)) for numbers in went.values()]
    assert max(moves) <= 1


async def test_who_is_new_or_comes_back_draws_its_share_and_no_more():
    servers = Servers(A, B)

    def drawn_by_the_last() -> int:
        """Of 256 sessions, a second later."""
        servers.clock.seconds += LOOK_SECONDS
        servers.fleet.look()
        of = servers.tier()
        size, keys = len(of.ways), range(0, 2**32, 2**24)
        chosen = [
            next(servers.fleet.ordered(pool(of, "affinity"), of, range(size), Session(key)))
            for key in keys
        ]
        return chosen.count(size - 1)

    def all_others_are_sent(calls: int) -> None:
        of = servers.tier()
        for sight in servers.fleet.sights(of)[:2]:
            for _ in range(calls):
                servers.fleet.give_back(servers.fleet.take(of.ways[0], sight))

    drawn_by_the_last()
    all_others_are_sent(1000)
    servers.publish(A, B, server("c"))
    new = drawn_by_the_last()

    last = servers.fleet.sights(servers.tier())[2]
    for _ in range(MOST_IN_A_ROW):
        last.breaker.fail(servers.clock.seconds, last.breaker.enter(0.0), "it is dead")
    last.look()
    all_others_are_sent(1000)
    drawn_by_the_last()
    last.breaker.succeed(servers.clock.seconds, last.breaker.enter(0.0))
    last.look()
    back = drawn_by_the_last()

    assert new == back
    assert new == pytest.approx(256 / 3, rel=0.25)


async def test_the_turns_of_a_tier_go_on_over_snapshots():
    servers, found = Servers(A, B), []
    for _ in range(6):
        servers.publish(A, B)
        of = servers.tier()
        found.append(next(servers.fleet.ordered(pool(of, "round_robin"), of, range(2), None)))
    assert found == [0, 1, 0, 1, 0, 1]


async def test_for_sessions_with_a_server_the_well_come_before_the_unwell_and_then_the_idle():
    c, d, e = server("c", draining=True), server("d", max_concurrency=1), server("e")
    servers = Servers(A, B, c, d, e)
    servers.observe({e.id: Observation(State.UNHEALTHY)})
    take(servers, tier("x", A))
    take(servers, tier("x", d))
    found = servers.fleet.readiest((Target(entry, "m"), 1.0) for entry in (A, B, c, d, e))
    assert [target.provider.name for target in found] == ["b", "a", "e"]


async def test_a_place_is_given_back_however_the_call_ends():
    servers = Servers(ONE)
    with pytest.raises(ValueError), servers.fleet.visiting(take(servers)):  # noqa: PT011
        raise ValueError
    with servers.fleet.visiting(servers.fleet.call_on(servers.tier().ways[0])):
        assert not servers.fleet.sight(ONE).has_room
    assert nothing_is_left(servers)


def on_trial(servers: Servers) -> Sight:
    """A server that was dead, and may be tried by one call now."""
    place = take(servers)
    for _ in range(MOST_IN_A_ROW):
        place.breaker.fail(servers.clock(), place.sent, "it is dead")
    servers.fleet.give_back(place)
    servers.clock.seconds += place.breaker.seconds_left(servers.clock())
    return place.sight


async def test_a_trial_that_ends_without_a_word_lets_another_call_try():
    """As where its call cannot be put for this server, and is never sent."""
    servers = Servers(A)
    sight = on_trial(servers)
    trial, beside = take(servers), take(servers)
    servers.fleet.give_back(beside)
    assert not sight.admits(servers.clock())
    servers.fleet.give_back(trial)
    assert sight.admits(servers.clock())


# Who waits


async def test_whoever_waits_is_handed_the_place_that_is_given_back():
    servers = Servers(ONE)
    place = take(servers)
    waiting = wait(servers)
    await settled()
    assert not waiting.done()

    servers.fleet.give_back(place)
    got = await waiting

    assert got is not None
    assert got.way.provider is ONE
    assert (got.sight.in_flight, got.sight.has_room) == (1, False)
    servers.fleet.give_back(got)
    assert nothing_is_left(servers)


async def test_keys_take_turns():
    servers = Servers(ONE)
    place = take(servers)
    order: list[str] = []

    async def call(name: str, owner: UUID) -> None:
        got = await wait(servers, owner=owner)
        assert got is not None
        order.append(name)
        servers.fleet.give_back(got)

    named = (("m1", ME), ("m2", ME), ("m3", ME), ("o1", OTHER))
    tasks = [asyncio.create_task(call(name, owner)) for name, owner in named]
    await settled()
    servers.fleet.give_back(place)
    await asyncio.gather(*tasks)

    assert order == ["m1", "o1", "m2", "m3"]
    assert nothing_is_left(servers)


async def in_order(servers: Servers, *asked: tuple[str, Tier, UUID]) -> list[str]:
    """Who has their place when, of calls that come in this order while the first server is full."""
    place, order = take(servers), []

    async def call(name: str, of: Tier, owner: UUID) -> None:
        got = await wait(servers, of, owner)
        assert got is not None
        order.append(name)
        servers.fleet.give_back(got)

    tasks = [asyncio.create_task(call(*each)) for each in asked]
    await settled()
    servers.fleet.give_back(place)
    await asyncio.gather(*tasks)
    return order


async def test_tiers_of_the_same_servers_have_one_line():
    servers = Servers(ONE)
    x, y = tier("x", ONE), tier("y", ONE)
    asked = [("x1", x, ME), ("y1", y, ME), ("x2", x, ME)]
    assert await in_order(servers, *asked) == ["x1", "y1", "x2"]


async def test_a_key_has_one_turn_however_many_lines_it_stands_in():
    servers = Servers(ONE, ONE_B)
    full = servers.fleet.call_on(servers.tier().ways[1])
    lines = [tier("a", ONE), tier("m", ONE, ONE_B)]
    asked = [(f"m{number}", lines[number % 2], ME) for number in range(4)]
    asked += [("o1", lines[0], OTHER), ("o2", lines[1], OTHER)]
    order = await in_order(servers, *asked)
    assert [name[0] for name in order] == ["m", "o", "m", "o", "m", "m"]
    servers.fleet.give_back(full)


async def test_a_server_that_goes_and_comes_back_has_no_more_places_than_before():
    servers = Servers(ONE, ONE_B)
    full = servers.fleet.call_on(servers.tier().ways[1])
    shut = servers.fleet.sight(ONE)
    for _ in range(MOST_IN_A_ROW):
        shut.breaker.fail(servers.clock(), shut.breaker.enter(servers.clock()), "it is dead")
    shut.look()
    waiting = [wait(servers) for _ in range(3)]
    await settled()
    servers.publish(ONE_B)
    servers.publish(ONE, ONE_B)
    await settled()

    assert [task.done() for task in waiting] == [True, False, False]
    assert servers.fleet.sight(ONE).in_flight == 1
    for task in waiting[1:]:
        task.cancel()
    await settled()
    for place in (full, await waiting[0]):
        assert place is not None
        servers.fleet.give_back(place)
    assert nothing_is_left(servers)


async def test_a_call_that_comes_to_stand_behind_one_that_cannot_go_there_is_called_up_at_once():
    servers = Servers(A, ONE_B)
    full = servers.fleet.call_on(servers.tier().ways[1])
    first = wait(servers, tried=frozenset({A.id}))
    second = wait(servers)
    await settled()

    assert not first.done()
    got = await second
    assert got is not None
    assert got.way.provider.name == "a"
    for place in (got, full):
        servers.fleet.give_back(place)
    last = await first
    assert last is not None
    servers.fleet.give_back(last)
    assert nothing_is_left(servers)


async def test_of_one_key_the_call_that_came_first_is_the_first_in_whatever_line_it_stands():
    servers = Servers(ONE, B)
    place, order = take(servers), []
    both, alone = servers.tier(), tier("alone", ONE)

    async def call(name: str, of: Tier) -> None:
        got = await wait(servers, of, tried=frozenset({B.id}))
        assert got is not None
        order.append(name)
        servers.fleet.give_back(got)

    named = (("1", both), ("2", alone), ("3", both), ("4", alone))
    tasks = [asyncio.create_task(call(name, of)) for name, of in named]
    await settled()
    servers.fleet.give_back(place)
    await asyncio.gather(*tasks)

    assert order == ["1", "2", "3", "4"]


async def test_a_full_line_is_refused_at_once_and_leaves_nothing():
    servers = Servers(ONE)
    take(servers)
    with pytest.raises(LineFull):
        await wait(servers, most_calls=0)
    assert servers.fleet._waiting == {}


async def test_a_flood_is_displaced_by_another_key():
    servers = Servers(ONE)
    place = take(servers)
    flood = [wait(servers, most_calls=2) for _ in range(2)]
    await settled()
    other = wait(servers, owner=OTHER, most_calls=2)
    with pytest.raises(LineFull):
        await flood[1]
    for waiting in (flood[0], other):
        servers.fleet.give_back(place)
        got = await waiting
        assert got is not None
        place = got
    servers.fleet.give_back(place)
    assert nothing_is_left(servers)


async def test_the_wait_ends_in_time():
    servers = Servers(ONE, look_seconds=0.01)
    place = take(servers)

    def still() -> bool:
        servers.clock.seconds += 2.0
        return True

    assert await wait(servers, seconds=1.0, still=still) is None
    servers.fleet.give_back(place)
    assert nothing_is_left(servers)


async def test_the_wait_ends_when_there_is_nothing_to_wait_for():
    servers = Servers(ONE)
    place = take(servers)
    assert await wait(servers, still=lambda: False) is None
    servers.fleet.give_back(place)
    assert nothing_is_left(servers)


async def test_a_call_that_is_cancelled_while_it_waits_takes_no_place():
    servers = Servers(ONE)
    place = take(servers)
    first, second = wait(servers), wait(servers)
    await settled()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    servers.fleet.give_back(place)
    got = await second
    assert got is not None
    servers.fleet.give_back(got)
    assert nothing_is_left(servers)


async def test_a_call_that_is_cancelled_just_after_it_was_given_a_place_passes_it_on():
    servers = Servers(ONE)
    place = take(servers)
    first, second = wait(servers), wait(servers)
    await settled()

    servers.fleet.give_back(place)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert first.cancelled()
    got = await asyncio.wait_for(second, PATIENCE_SECONDS)
    assert got is not None
    assert got.sight.in_flight == 1
    servers.fleet.give_back(got)
    assert nothing_is_left(servers)


async def test_a_call_that_is_cancelled_just_after_it_was_given_the_trial_lets_another_try():
    servers = Servers(ONE)
    sight = on_trial(servers)
    place, waiting = take(servers), wait(servers)
    await settled()

    servers.fleet.give_back(place)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert nothing_is_left(servers)
    assert sight.admits(servers.clock())


async def test_a_raised_cap_calls_up_whoever_waits_at_the_next_look():
    servers = Servers(ONE)
    place = take(servers)
    waiting = wait(servers)
    await settled()
    servers.publish(replace(ONE, max_concurrency=2))
    got = await asyncio.wait_for(waiting, PATIENCE_SECONDS)
    assert got is not None
    for each in (place, got):
        servers.fleet.give_back(each)
    assert nothing_is_left(servers)


async def test_a_draining_server_calls_nobody_up():
    servers = Servers(ONE, look_seconds=0.01)
    place = take(servers)
    waiting = wait(servers)
    await settled()
    servers.publish(replace(ONE, draining=True))
    servers.fleet.give_back(place)
    await settled()
    assert not waiting.done()
    servers.publish(ONE)
    got = await asyncio.wait_for(waiting, PATIENCE_SECONDS)
    assert got is not None


# What is reported


async def test_reports_say_what_is_under_way_and_who_waits_from_any_thread():
    servers = Servers(ONE, ONE_B)
    assert servers.fleet.reports() == {}
    take(servers)
    servers.fleet.call_on(servers.tier().ways[1])
    waiting = wait(servers)
    await settled()

    reports = await asyncio.to_thread(servers.fleet.reports)

    assert reports == {ONE.id: Report(1, 1), ONE_B.id: Report(1, 1)}
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert servers.fleet.reports() == {ONE.id: Report(1, 0), ONE_B.id: Report(1, 0)}


async def test_a_report_goes_by_what_probes_found_though_no_call_has_come_since():
    """Else a server that failed the last call of the day would count as failing all night."""
    servers = Servers(ONE)
    servers.observe({ONE.id: Observation(recovered=1)})
    sight = servers.fleet.sight(ONE)
    for _ in range(MOST_IN_A_ROW):
        sight.breaker.fail(servers.clock(), sight.breaker.enter(servers.clock()), "it is dead")
    assert servers.fleet.reports() == {ONE.id: Report(state="open", reason="it is dead")}

    servers.lookout.publish(Observed({ONE.id: Observation(recovered=2)}))

    assert servers.fleet.reports() == {}
