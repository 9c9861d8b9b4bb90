"""One server as this process sees it."""

from __future__ import annotations

from dataclasses import replace
from math import e

import pytest

from gateway.fleet.breaker import MOST_IN_A_ROW, Breaking
from gateway.fleet.sight import (
    HALVED_SECONDS,
    MOST_PAUSE_SECONDS,
    RECENT_SECONDS,
    Sight,
    kept_after,
)
from providers.addresses import Address
from providers.observed import SHUNNED, Observation, Report, State
from tests.gateway.fleet.servers import server, sight_of

NOW = 1000.0


def broken(sight: Sight) -> Sight:
    for _ in range(MOST_IN_A_ROW):
        sight.breaker.fail(NOW, sight.breaker.enter(NOW), "it is dead")
    sight.look()
    return sight


def test_its_load_is_its_calls_here_and_those_of_others():
    sight = sight_of()
    sight.begin(NOW)
    sight.begin(NOW)
    sight.observe(Observation(running=5, waiting=2, looked=NOW), NOW)
    assert (sight.in_flight, sight.others, sight.calls) == (2, 5.0, 7.0)
    sight.end()
    assert sight.calls == 6.0


def test_what_is_none_of_its_work_takes_a_place_and_counts_no_more_once_it_has_ended():
    """Else whoever reads its metrics would drive sessions from it."""
    sight = sight_of()
    sight.begin_beside()
    assert (sight.in_flight, sight.calls) == (1, 1.0)
    sight.end()
    assert (sight.in_flight, sight.recent) == (0, 0.0)


def test_more_calls_here_than_it_counted_are_no_negative_load():
    sight = sight_of()
    for _ in range(3):
        sight.begin(NOW)
    sight.observe(Observation(running=1, looked=NOW), NOW)
    assert sight.calls == 3.0


def test_what_it_said_counts_less_with_age():
    sight = sight_of()
    seen = Observation(running=8, looked=NOW)
    sight.observe(seen, NOW + HALVED_SECONDS)
    assert sight.calls == pytest.approx(4.0)
    sight.observe(seen, NOW + 2 * HALVED_SECONDS)
    assert sight.calls == pytest.approx(2.0)


def test_calls_that_have_ended_count_as_recent_and_less_with_age():
    sight = sight_of()
    for _ in range(10):
        sight.begin(NOW)
        sight.end()
    assert (sight.calls, sight.recent) == (0.0, 10.0)
    sight.recent *= kept_after(RECENT_SECONDS)
    sight.begin(NOW)
    assert sight.recent == pytest.approx(10 / e + 1)


@pytest.mark.parametrize(
    ("most", "processes", "share"),
    [(None, 3, None), (10, 1, 10), (10, 3, 4), (9, 3, 3), (1, 4, 1), (10, 0, 10)],
)
def test_processes_share_its_places_rounded_up(most, processes, share):
    sight = sight_of(server(max_concurrency=most))
    sight.know(sight.entry, processes)
    assert sight.share == share


def test_it_has_room_up_to_its_share():
    sight = sight_of(server(max_concurrency=2))
    sight.know(sight.entry, 1)
    sight.begin(NOW)
    assert sight.has_room
    sight.begin(NOW)
    assert not sight.has_room
    sight.know(replace(sight.entry, max_concurrency=1), 1)  # over it now: nothing is cut
    sight.end()
    assert not sight.has_room
    sight.end()
    assert sight.has_room


def test_a_sound_server_takes_calls():
    sight = sight_of()
    assert (sight.is_shut, sight.admits(NOW), sight.allows(NOW)) == (False, True, True)


@pytest.mark.parametrize("state", State)
def test_one_that_probes_find_unwell_is_only_the_last_resort(state):
    sight = sight_of()
    sight.observe(Observation(state, "slow"), 0.0)
    assert sight.admits(NOW) is (state not in SHUNNED)
    assert sight.allows(NOW)


@pytest.mark.parametrize("fields", [{"draining": True}, {"problem": "its key cannot be opened"}])
def test_one_that_drains_or_cannot_be_called_is_none(fields):
    sight = sight_of()
    sight.know(server(**fields), 1)
    assert (sight.is_shut, sight.admits(NOW), sight.allows(NOW)) == (True, False, False)
    assert ("draining" if "draining" in fields else "cannot be opened") in sight.why_shut(NOW)


def test_nor_is_one_whose_breaker_is_open_until_it_is_time_for_a_trial():
    sight = broken(sight_of())
    later = NOW + sight.breaker.seconds_left(NOW)
    assert (sight.admits(NOW), sight.allows(NOW)) == (False, False)
    assert (sight.admits(later), sight.allows(later)) == (True, True)
    assert "it is dead" in sight.why_shut(NOW)


def test_one_that_refuses_its_key_is_the_last_resort():
    sight = sight_of()
    sight.breaker.misconfigure(NOW, sight.breaker.enter(NOW), "it refuses the key")
    sight.look()
    assert (sight.admits(NOW), sight.allows(NOW)) == (False, True)


def test_one_that_asks_to_be_left_alone_is_so_for_as_long():
    sight = sight_of()
    sight.pause(NOW, 3.0)
    assert (sight.admits(NOW + 2.9), sight.allows(NOW + 2.9)) == (False, True)
    assert sight.admits(NOW + 3.0)


def test_but_not_for_hours():
    sight = sight_of()
    sight.pause(NOW, 86_400.0)
    assert sight.admits(NOW + MOST_PAUSE_SECONDS)


def test_one_that_probes_find_well_again_has_its_calls_at_once():
    sight = sight_of()
    sight.observe(Observation(recovered=4), 0.0)
    broken(sight)
    sight.observe(Observation(recovered=4), 1.0)
    assert not sight.admits(NOW)
    sight.observe(Observation(recovered=5), 0.0)
    assert sight.admits(NOW)
    assert sight.breaker.state is Breaking.CLOSED


def test_how_often_it_had_recovered_before_it_was_known_says_nothing():
    sight = broken(sight_of())
    sight.observe(Observation(recovered=9), 0.0)
    assert not sight.admits(NOW)


@pytest.mark.parametrize(
    "fields", [{"address": Address("http://elsewhere:8000")}, {"authorization": "Bearer new"}]
)
def test_one_that_is_reached_otherwise_begins_anew(fields):
    sight = broken(sight_of())
    sight.pause(NOW, 30.0)
    sight.know(replace(server(), **fields), 1)
    assert sight.admits(NOW)


def test_one_that_is_otherwise_edited_does_not():
    sight = broken(sight_of())
    sight.know(server(weight=2.0, first_byte_seconds=1.0), 1)
    assert not sight.admits(NOW)


def test_what_there_is_to_say_of_it():
    sight = sight_of()
    assert sight.report(0, sight.observation) == Report()
    sight.begin(NOW)
    assert sight.report(2, sight.observation) == Report(1, 2, "closed", "")
    sight.end()
    assert broken(sight).report(0, sight.observation) == Report(0, 0, "open", "it is dead")


def test_calls_that_have_ended_since_it_was_seen_are_not_taken_for_others():
    sight, seen = sight_of(), Observation(running=3, looked=NOW)
    for _ in range(3):
        sight.begin(NOW)
    sight.observe(seen, NOW)
    for _ in range(3):
        sight.end()
    sight.observe(seen, NOW + 0.5)
    assert sight.calls == 0.0


def test_a_pause_that_is_over_leaves_no_trace():
    sight = sight_of()
    sight.pause(NOW, 5.0)
    assert sight.why_shut(NOW + 0.5) == "'a': it asks to be left alone for 5 s"
    sight.observe(Observation(), NOW + 4.9)
    assert sight.is_shut
    sight.observe(Observation(), NOW + 5.0)
    assert not sight.is_shut


def test_one_whose_row_is_gone_takes_nothing_until_it_is_back():
    sight = sight_of()
    sight.leave()
    assert (sight.admits(NOW), sight.allows(NOW)) == (False, False)
    assert sight.why_shut(NOW) == "'a' has been removed"
    sight.know(server(), 1)
    assert sight.admits(NOW)


@pytest.mark.parametrize(("models", "state"), [
    (("m",), Breaking.MISCONFIGURED), (("another",), Breaking.CLOSED),
])  # fmt: skip
def test_a_server_that_did_not_know_its_model_begins_anew_once_it_lists_another(models, state):
    sight = sight_of()
    sight.breaker.misconfigure(NOW, sight.breaker.enter(NOW), "it does not know the model")
    sight.look()
    listed = {model: {"id": model} for model in models}

    sight.know(replace(sight.entry, models=listed), 1)

    assert sight.breaker.state is state
    assert sight.is_shut is (state is Breaking.MISCONFIGURED)


def test_a_failing_server_goes_on_failing_whatever_it_lists():
    sight = broken(sight_of())

    sight.know(replace(sight.entry, models={"another": {"id": "another"}}), 1)

    assert sight.breaker.state is Breaking.OPEN
