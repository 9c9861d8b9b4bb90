"""How many calls may be sent once more."""

from __future__ import annotations

from gateway.fleet import budget
from gateway.fleet.budget import Budget


def spent(found: Budget, now: float = 0.0) -> int:
    """How many could be sent at once."""
    times = 0
    while found.spend(now):
        times += 1
    return times


def test_a_quiet_fleet_has_a_reserve():
    assert spent(Budget(0.2, 0.0)) == budget.RESERVE


def test_calls_earn_their_share_beside_it():
    found = Budget(0.25, 0.0)
    for _ in range(1000):
        found.earn()
    assert spent(found) == budget.RESERVE + 250


def test_the_reserve_fills_up_again_in_time_and_not_beyond_its_size():
    found = Budget(0.2, 0.0)
    spent(found)
    assert spent(found, 1.0) == budget.REFILL_PER_SECOND
    assert spent(found, 1.0) == 0
    assert spent(found, 10_000.0) == budget.RESERVE


def test_only_so_much_is_saved_up():
    found = Budget(0.5, 0.0)
    for _ in range(3 * budget.WINDOW_CALLS):
        found.earn()
    assert spent(found) == budget.RESERVE + 0.5 * budget.WINDOW_CALLS


def test_under_load_no_more_than_the_share_is_repeated():
    found, repeated = Budget(0.25, 0.0), 0
    spent(found)
    for _ in range(10_000):
        found.earn()
        repeated += found.spend(0.0)
    assert repeated == 2500


def test_without_a_share_none_is():
    found = Budget(0.0, 0.0)
    found.earn()
    assert spent(found, 1000.0) == 0
