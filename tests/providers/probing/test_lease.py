"""Of all processes one probes, and another when that one is gone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.db.models import F
from django.db.models.functions import Now

from providers.models import Lease
from providers.probing import lease
from tests.patience import NEVER_SECONDS

pytestmark = pytest.mark.django_db(transaction=True)

ONE, TWO = uuid4(), uuid4()
TERM = NEVER_SECONDS


def hold(holder: UUID) -> bool:
    return lease.hold(holder, TERM)


def pass_time(seconds: float) -> None:
    """The database's clock cannot be set: the lease ends so much sooner instead."""
    Lease.objects.update(until=F("until") - timedelta(seconds=seconds))


def left() -> float:
    [seconds] = Lease.objects.annotate(left=F("until") - Now()).values_list("left", flat=True)
    return float(seconds.total_seconds())


def test_the_first_gets_it_and_keeps_it():
    assert hold(ONE)
    assert not hold(TWO)
    assert hold(ONE)


def test_it_is_renewed_in_time_and_not_all_the_time(django_assert_num_queries):
    hold(ONE)
    with django_assert_num_queries(1):
        assert hold(ONE)
    pass_time(lease.RENEWED_AFTER * TERM)

    assert hold(ONE)
    assert left() > (1 - lease.RENEWED_AFTER) * TERM


def test_whoever_has_none_writes_nothing(django_assert_num_queries):
    hold(ONE)
    with django_assert_num_queries(1):
        assert not hold(TWO)


def test_one_that_is_over_is_anybodys():
    hold(ONE)
    pass_time(TERM)

    assert hold(TWO)
    assert not hold(ONE)


def test_one_that_is_given_back_is_free_at_once():
    hold(ONE)
    lease.release(TWO)
    assert not hold(TWO)
    lease.release(ONE)
    assert hold(TWO)


def test_a_clock_that_was_set_back_leaves_no_lease_without_end():
    hold(ONE)
    pass_time(-lease.SANE_TERMS * TERM)

    assert hold(TWO)
    assert left() <= TERM


def test_one_that_was_taken_a_moment_from_now_is_taken():
    """A statement that waited for another's is of an earlier time than what that one wrote."""
    hold(ONE)
    pass_time(-0.5)

    assert not hold(TWO)


def test_of_many_at_once_one_gets_it():
    holders = [uuid4() for _ in range(8)]

    def try_to_hold(holder: UUID) -> bool:
        try:
            return hold(holder)
        finally:
            connection.close()

    for _ in range(5):
        with ThreadPoolExecutor(len(holders)) as pool:
            held = list(pool.map(try_to_hold, holders))
        assert held.count(True) == 1
        pass_time(TERM)
