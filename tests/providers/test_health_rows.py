"""What the rows say of each provider: the prober's, the processes' and discovery's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from providers import addresses, discovery, health_rows
from providers.answers import Question
from providers.fetch import Fetched
from providers.health import Standing
from providers.health_rows import RELATED, Seen, seen
from providers.models import Provider
from tests.providers.admin_pages import found, probed, process, provider, report

pytestmark = pytest.mark.django_db
QUESTION = Question(addresses.parse("http://gpu-1:8000"), has_key=True)


def now_of(row: Provider) -> Seen:
    return seen(Provider.objects.select_related(*RELATED))[row.pk]


def test_a_probe_tells_state_and_load() -> None:
    row = provider()
    held = probed(row, "degraded", "slow", running=5, waiting=2)

    shown = now_of(row)

    assert shown.condition.standing is Standing.DEGRADED
    assert (shown.condition.reason, shown.condition.since) == ("slow", held.since)
    assert (shown.running, shown.waiting, shown.in_flight) == (5, 2, 0)


def test_an_old_probe_tells_neither() -> None:
    row = provider()
    probed(row, seconds_ago=60, running=5, waiting=2)

    shown = now_of(row)

    assert shown.condition.standing is Standing.UNKNOWN
    assert "No recent probe" in shown.condition.reason
    assert (shown.running, shown.waiting) == (None, None)


def test_calls_of_all_running_processes_are_added_up() -> None:
    row, other = provider(), provider("other")
    process(report(row, in_flight=3), report(other, in_flight=50))
    process(report(row, in_flight=4))
    process(report(other, in_flight=1))
    process(report(row, in_flight=100, state="open"), seconds_ago=11)

    assert now_of(row).in_flight == 7
    assert now_of(other).in_flight == 51
    assert now_of(row).condition.standing is Standing.UNKNOWN


def test_breakers_are_counted_among_running_processes() -> None:
    row = provider()
    probed(row)
    process(report(row, state="open", reason="refused"))
    assert now_of(row).condition.standing is Standing.UNHEALTHY

    process()

    shown = now_of(row).condition
    assert shown.standing is Standing.DEGRADED
    assert shown.reason == "Calls to it fail in 1 of 2 processes: refused"


@pytest.mark.parametrize(
    "reports", [[], "x", {"ID": None}, {"ID": 5}, {"ID": {"in_flight": "9", "reason": None}}]
)
def test_a_report_of_another_version_is_no_error(reports: Any) -> None:
    row = provider()
    if isinstance(reports, dict):
        reports = {str(row.pk): reports["ID"]}
    process(reports=reports)

    assert now_of(row) == Seen(health_rows.Condition(Standing.UNKNOWN, "Not probed yet."))


def test_a_state_of_another_version_is_unknown() -> None:
    row = provider()
    probed(row, "sleeping")

    assert now_of(row).condition.standing is Standing.UNKNOWN


@pytest.mark.parametrize("state", ["healthy", "unhealthy"])
def test_a_refused_key_is_a_misconfiguration_whatever_the_probe_says(state: str) -> None:
    found(row := provider(), error=discovery.read(Fetched(401, b""), QUESTION).text)
    probed(row, state)

    shown = now_of(row).condition

    assert shown.standing is Standing.MISCONFIGURED
    assert shown.reason.startswith("The server refuses the API key (HTTP 401).")


@pytest.mark.parametrize(
    ("answer", "is_wrong"),
    [
        (Fetched(401, b""), True),
        (Fetched(403, b""), True),
        (Fetched(403, b"<html>"), True),
        (Fetched(200, b'{"data": []}'), True),
        (Fetched(200, b"<html>"), False),
        (Fetched(404, b""), False),
        (Fetched(500, b""), False),
    ],
)
def test_what_an_operator_must_put_right_is_told_apart(answer: Fetched, is_wrong: bool) -> None:
    assert discovery.is_misconfiguration(discovery.read(answer, QUESTION).text) is is_wrong


def test_a_key_that_cannot_be_opened_is_a_misconfiguration(vllm: Any) -> None:
    row = provider(base_url=vllm.url, key="upstream-secret")
    Provider.objects.filter(pk=row.pk).update(sealed_api_key="bm90IHNlYWxlZA==")
    discovery.ask_now(row.pk)

    assert now_of(row).condition.standing is Standing.MISCONFIGURED


def test_other_errors_of_discovery_are_for_the_prober_to_judge() -> None:
    found(row := provider(), error="Cannot be reached: refused.")
    probed(row)

    assert now_of(row).condition.standing is Standing.HEALTHY


def test_many_providers_cost_one_query_more_than_their_own(
    django_assert_num_queries: Any,
) -> None:
    for number in range(20):
        row = provider(f"vllm-{number}")
        if number % 2:
            found(row, "a")
            probed(row)
        process(report(row, in_flight=1))

    with django_assert_num_queries(2):
        shown = seen(Provider.objects.select_related(*RELATED))

    assert {one.in_flight for one in shown.values()} == {1}


def test_a_process_counts_for_ten_seconds() -> None:
    assert health_rows.LIVE_SECONDS == 10
    written = process({}, seconds_ago=0)
    assert len(health_rows.live().reports) == 1
    type(written).objects.update(written=written.written - timedelta(seconds=10))
    assert health_rows.live().reports == ()
