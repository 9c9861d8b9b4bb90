"""The circuit breaker: when it opens, who may try, and what closes it."""

from __future__ import annotations

import pytest

from gateway.fleet import breaker
from gateway.fleet.breaker import Breaker, Breaking

NOW = 1000.0


def fail(found: Breaker, now: float, reason: str) -> None:
    """A call is sent, and fails at once."""
    found.fail(now, found.enter(now), reason)


def succeed(found: Breaker, now: float) -> None:
    found.succeed(now, found.enter(now))


def opened(now: float = NOW) -> Breaker:
    found = Breaker()
    for _ in range(breaker.MOST_IN_A_ROW):
        fail(found, now, "it is dead")
    assert found.state is Breaking.OPEN
    return found


def on_trial(now: float = NOW) -> tuple[Breaker, float, int]:
    """And when the trial began, and its number."""
    found = opened(now)
    later = now + found.seconds_left(now)
    trial = found.enter(later)
    assert found.state is Breaking.HALF_OPEN
    return found, later, trial


def test_a_new_one_is_closed():
    found = Breaker()
    assert found.admits(NOW)
    assert (found.state, found.reason, found.seconds_left(NOW)) == (Breaking.CLOSED, "", 0.0)


def test_failures_in_a_row_open_it():
    found = Breaker()
    for _ in range(breaker.MOST_IN_A_ROW - 1):
        fail(found, NOW, "no")
    assert (found.admits(NOW), found.reason) == (True, "")

    fail(found, NOW, "it is dead")

    assert (found.state, found.admits(NOW), found.reason) == (Breaking.OPEN, False, "it is dead")


def test_a_success_between_them_begins_the_row_anew():
    found = Breaker()
    for _ in range(3):
        for _ in range(breaker.MOST_IN_A_ROW - 1):
            fail(found, NOW, "no")
        succeed(found, NOW)
    assert found.state is Breaking.CLOSED


def test_it_is_open_for_about_the_first_time():
    left = opened().seconds_left(NOW)
    assert 0.8 * breaker.FIRST_OPEN_SECONDS <= left <= 1.2 * breaker.FIRST_OPEN_SECONDS


def test_when_the_time_is_up_one_call_may_try():
    found = opened()
    later = NOW + found.seconds_left(NOW)
    assert not found.admits(later - 0.001)
    assert found.admits(later)

    found.enter(later)

    assert (found.state, found.admits(later)) == (Breaking.HALF_OPEN, False)
    assert not found.admits(later + breaker.MOST_OPEN_SECONDS - 0.001)


def test_a_trial_of_which_nothing_is_heard_does_not_shut_it_forever():
    found, later, _ = on_trial()
    assert found.admits(later + breaker.MOST_OPEN_SECONDS)


def test_a_trial_that_says_nothing_lets_another_try():
    found, later, trial = on_trial()
    found.abandon(trial)
    assert (found.state, found.admits(later)) == (Breaking.HALF_OPEN, True)
    assert found.seconds_left(later) == 0.0


def test_to_abandon_a_call_is_nothing_where_none_is_on_trial():
    found = opened()
    found.abandon(found.enter(NOW))
    assert (found.state, found.admits(NOW)) == (Breaking.OPEN, False)


def test_a_trial_that_succeeds_closes_it():
    found, later, trial = on_trial()
    found.succeed(later, trial)
    assert (found.state, found.reason, found.admits(later)) == (Breaking.CLOSED, "", True)


def test_what_failed_before_it_closed_does_not_count_after():
    found, later, trial = on_trial()
    found.succeed(later, trial)
    for _ in range(breaker.MOST_IN_A_ROW - 1):
        fail(found, later, "no")
    assert found.state is Breaking.CLOSED


def test_each_trial_that_fails_opens_it_for_double_the_time_up_to_a_limit():
    found, now, waits = opened(), NOW, []
    for _ in range(8):
        waits.append(found.seconds_left(now))
        now += waits[-1]
        fail(found, now, "still")
    expected = [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
    assert waits == [pytest.approx(seconds, rel=0.2) for seconds in expected]


def test_a_success_forgets_how_often_it_opened():
    found, now, trial = on_trial()
    found.fail(now, trial, "still")
    now += found.seconds_left(now)
    succeed(found, now)
    for _ in range(breaker.MOST_IN_A_ROW):
        fail(found, now, "again")
    assert found.seconds_left(now) == pytest.approx(breaker.FIRST_OPEN_SECONDS, rel=0.2)


def test_late_failures_do_not_lengthen_it():
    found = Breaker()
    sent = [found.enter(NOW) for _ in range(breaker.MOST_IN_A_ROW + 3)]
    for number in sent[3:]:
        found.fail(NOW, number, "it is dead")
    until = NOW + found.seconds_left(NOW)
    for late, number in zip((0.1, 1.0, 5.0), sent[:3], strict=True):
        found.fail(NOW + late, number, "late")
    assert NOW + found.seconds_left(NOW) == until
    assert (found.admits(until), found.reason) == (True, "it is dead")
    fail(found, until, "still")
    assert found.seconds_left(until) == pytest.approx(2 * breaker.FIRST_OPEN_SECONDS, rel=0.2)


def sent_before() -> tuple[Breaker, int]:
    """And the number of a call that was sent before it opened."""
    found = Breaker()
    sent = found.enter(NOW)
    for _ in range(breaker.MOST_IN_A_ROW):
        fail(found, NOW, "it is dead")
    return found, sent


def test_a_late_failure_says_nothing_of_a_trial():
    found, sent = sent_before()
    later = NOW + found.seconds_left(NOW)
    found.enter(later)
    found.fail(later, sent, "sent long before")
    found.misconfigure(later, sent, "sent long before")
    found.abandon(sent)
    assert (found.state, found.reason) == (Breaking.HALF_OPEN, "it is dead")
    assert not found.admits(later), "the trial goes on"


def test_late_failures_do_not_open_it_again_once_a_trial_went_well():
    """As where a host vanishes, and its calls time out long after it is back."""
    found, sent = sent_before()
    later = NOW + found.seconds_left(NOW)
    succeed(found, later)
    for _ in range(breaker.MOST_IN_A_ROW):
        found.fail(later, sent, "sent long before")
    found.misconfigure(later, sent, "sent long before")
    assert (found.state, found.reason) == (Breaking.CLOSED, "")


def test_a_trial_that_another_has_followed_says_nothing_of_it():
    found, later, first = on_trial()
    later += breaker.MOST_OPEN_SECONDS
    second = found.enter(later)
    found.abandon(first)
    found.fail(later, first, "after so long")
    assert (found.state, found.admits(later)) == (Breaking.HALF_OPEN, False)
    found.abandon(second)
    assert found.admits(later)


def test_an_answer_that_breaks_off_counts_where_its_beginning_closed_it():
    found, later, trial = on_trial()
    sent = found.succeed(later, trial)
    for _ in range(breaker.MOST_IN_A_ROW):
        found.fail(later, sent, "it broke off")
    assert found.state is Breaking.OPEN


def test_one_call_is_the_trial():
    found = opened()
    later = NOW + found.seconds_left(NOW)
    beside, trial, another = found.enter(NOW), found.enter(later), found.enter(later)
    assert (beside, another) == (breaker.BESIDE, breaker.BESIDE)
    assert trial != breaker.BESIDE


def test_a_late_success_closes_it():
    found, sent = sent_before()
    found.succeed(NOW + 0.5, sent)
    assert found.state is Breaking.CLOSED


def test_but_not_where_half_of_all_calls_fail():
    """Of many calls under way, some always succeed: it would never stay open."""
    found = Breaker()
    sent = found.enter(NOW)
    mixed(found, breaker.LEAST_CALLS, NOW)
    assert found.state is Breaking.OPEN
    assert found.succeed(NOW + 0.5, sent) == sent
    assert found.state is Breaking.OPEN
    later = NOW + found.seconds_left(NOW)
    succeed(found, later)
    assert found.state is Breaking.CLOSED


@pytest.mark.parametrize("of", [Breaker, opened])
def test_a_server_that_is_misconfigured_is_left_alone_for_a_while(of):
    found, now = of(), NOW + 10
    found.misconfigure(now, found.enter(now), "it refuses the key")

    assert (found.state, found.reason) == (Breaking.MISCONFIGURED, "it refuses the key")
    assert not found.admits(now + breaker.MISCONFIGURED_SECONDS - 0.001)
    assert found.admits(now + breaker.MISCONFIGURED_SECONDS)

    trial = found.enter(now + breaker.MISCONFIGURED_SECONDS)
    assert found.state is Breaking.HALF_OPEN
    found.succeed(now + breaker.MISCONFIGURED_SECONDS, trial)
    assert found.state is Breaking.CLOSED


def test_that_a_call_sent_before_ends_well_does_not_mend_its_key():
    found = Breaker()
    earlier, refused = found.enter(NOW), found.enter(NOW)
    found.misconfigure(NOW, refused, "it refuses the key")
    found.succeed(NOW, earlier)
    assert found.state is Breaking.MISCONFIGURED
    found.succeed(NOW, found.enter(NOW))
    assert found.state is Breaking.CLOSED


def test_a_call_that_is_sent_all_the_same_is_no_trial():
    found = opened()
    found.enter(NOW)
    assert (found.state, found.admits(NOW)) == (Breaking.OPEN, False)


def test_one_that_is_found_well_again_gets_all_its_calls_and_the_first_failure_opens_it_anew():
    found, now, trial = on_trial()
    found.fail(now, trial, "still")
    found.recover()
    assert (found.state, found.admits(now)) == (Breaking.CLOSED, True)

    fail(found, now, "not well")
    assert found.state is Breaking.OPEN
    assert found.seconds_left(now) == pytest.approx(breaker.FIRST_OPEN_SECONDS, rel=0.2)


def test_but_not_the_failure_of_a_call_that_was_sent_before():
    found, now, trial = on_trial()
    found.recover()
    found.fail(now, trial, "sent before")
    assert found.state is Breaking.CLOSED


def test_one_that_is_found_well_again_and_answers_is_as_any_other():
    found, now, _ = on_trial()
    found.recover()
    succeed(found, now)
    for _ in range(breaker.MOST_IN_A_ROW - 1):
        fail(found, now, "no")
    assert found.state is Breaking.CLOSED


def test_failures_that_may_be_the_calls_own_open_it_by_their_share_alone():
    found = Breaker()
    for _ in range(breaker.LEAST_CALLS - 1):
        found.fail(NOW, found.enter(NOW), "it answered HTTP 500", in_a_row=False)
    assert found.state is Breaking.CLOSED
    found.fail(NOW, found.enter(NOW), "it answered HTTP 500", in_a_row=False)
    assert found.state is Breaking.OPEN


def test_to_recover_is_nothing_for_one_that_is_closed():
    found = Breaker()
    found.recover()
    assert found.state is Breaking.CLOSED


# The share of failures


def mixed(found: Breaker, calls: int, now: float, *, failing: int = 2) -> None:
    """One of `failing` fails, the last of them."""
    for number in range(1, calls + 1):
        if number % failing:
            succeed(found, now)
        else:
            fail(found, now, "half of its calls fail")


def test_a_large_share_of_failures_opens_it_without_a_row():
    found = Breaker()
    mixed(found, breaker.LEAST_CALLS - 2, NOW)
    assert found.state is Breaking.CLOSED
    mixed(found, 2, NOW)
    assert found.state is Breaking.OPEN


def test_a_smaller_share_does_not():
    found = Breaker()
    mixed(found, 300, NOW, failing=3)
    assert found.state is Breaking.CLOSED


def test_the_window_before_counts_too():
    found = Breaker()
    mixed(found, 10, NOW)
    mixed(found, 10, NOW + breaker.WINDOW_SECONDS)
    assert found.state is Breaking.OPEN


@pytest.mark.parametrize("windows", [2, 3, 100])
def test_what_is_older_does_not(windows):
    found = Breaker()
    mixed(found, 18, NOW)
    mixed(found, 18, NOW + windows * breaker.WINDOW_SECONDS)
    assert found.state is Breaking.CLOSED
