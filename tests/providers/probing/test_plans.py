"""Where calls went, and the plan made of it, through the database and back."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db.models import F

from providers.health_rows import LIVE_SECONDS
from providers.homes import NO_HOMES, NOTHING_USED, Homes, Prefix, Usage
from providers.models import Plan, Process
from providers.probing import plans, rows

pytestmark = pytest.mark.django_db(transaction=True)

SERVERS = [uuid4() for _ in range(200)]
EVEN = dict.fromkeys(SERVERS, 1.0)
USED = Usage(
    {SERVERS[0]: 12.34, SERVERS[1]: 0.5}, {7: Prefix(3.25, EVEN), 2**64 - 1: Prefix(2.0, EVEN)}
)
PLAN = Homes({SERVERS[0]: 12.5}, {7: (SERVERS[3], SERVERS[1])})


def test_a_usage_is_heard_as_it_was_said():
    rows.report(uuid4(), {}, USED)
    assert plans.heard(Process.objects.get().usage) == USED


def test_a_set_of_servers_is_said_once():
    many = Usage({}, {key: Prefix(1.0, EVEN) for key in range(128)})
    assert len(json.dumps(plans.said(many))) < 20_000


@pytest.mark.parametrize(
    "told",
    [
        {"recent": {"x": 1}},
        {"recent": {str(UUID(int=1)): -1.0}},
        {"recent": {str(UUID(int=1)): 1e300}},
        {"recent": {str(UUID(int=1)): 10**400}},
        {"prefixes": {"1": [1.0, 0]}},
        {"sets": [{str(UUID(int=1)): 0}]},
        {"sets": [{str(UUID(int=1)): 1e300}], "prefixes": {"1": [5.0, 0]}},
        {"sets": [{}], "prefixes": {"1": [5.0, 0]}},
        {"prefixes": 5},
        [],
        None,
    ],
)
def test_what_another_version_says_is_nothing(told):
    assert plans.heard(told) == NOTHING_USED
    Plan.objects.create(name=plans.HOMES, written=rows.Now(), said={"of": told})
    assert plans.read() == NO_HOMES


@pytest.mark.parametrize("calls", [1e300, -5.0])
def test_a_plan_with_calls_that_nobody_can_have_sent_is_none(calls):
    """The calls of all processes are weighed by it."""
    Plan.objects.create(
        name=plans.HOMES, written=rows.Now(), said={"recent": {str(SERVERS[0]): calls}}
    )
    assert plans.read() == NO_HOMES


def test_a_plan_can_be_made_of_the_most_that_processes_can_say():
    most = Usage(dict.fromkeys(SERVERS, plans.MOST_SAID), {7: Prefix(plans.MOST_SAID, EVEN)})
    for _ in range(3):
        rows.report(uuid4(), {}, most)
    plans.plan()
    assert plans.read().recent == dict.fromkeys(SERVERS, 3 * plans.MOST_SAID)


def test_what_a_later_version_says_beside_is_no_matter():
    assert plans.heard({**plans.said(USED), "more": 1}) == USED


def test_a_plan_is_read_as_it_was_written(django_assert_num_queries):
    assert plans.read() == NO_HOMES
    plans.write(NO_HOMES)
    plans.write(PLAN)
    with django_assert_num_queries(1):
        assert plans.read() == PLAN


def test_an_old_one_says_where_prefixes_are_at_home_and_no_more():
    plans.write(PLAN)
    Plan.objects.update(written=F("written") - timedelta(seconds=plans.RECENT_SECONDS + 1))
    assert plans.read() == Homes(of=PLAN.of)


def test_a_plan_is_made_of_what_all_processes_that_run_have_said():
    one, two = (Usage({SERVERS[0]: 100.0}, {key: Prefix(10.0, EVEN)}) for key in (1, 2))
    rows.report(uuid4(), {}, one)
    rows.report(uuid4(), {}, two)
    rows.report(dead := uuid4(), {}, Usage({SERVERS[0]: 99.0}, {3: Prefix(10.0, EVEN)}))
    age = timedelta(seconds=LIVE_SECONDS + 1)
    Process.objects.filter(pk=dead).update(written=F("written") - age)

    plans.plan()

    homes = plans.read()
    assert set(homes.of) == {1, 2}
    assert homes.recent == {SERVERS[0]: 200.0}


def test_where_nothing_is_used_nothing_is_written(django_assert_num_queries):
    rows.report(uuid4(), {})
    with django_assert_num_queries(2):
        plans.plan()
    assert not Plan.objects.exists()


def test_after_a_restart_the_homes_are_where_they_were():
    plans.write(PLAN)
    plans.plan()
    assert plans.read() == Homes(of=PLAN.of)
