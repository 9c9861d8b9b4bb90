"""What was found and reported, through the database and back."""

from __future__ import annotations

import time
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db.models import F
from django.utils import timezone

from providers.health import TRUSTED_SECONDS
from providers.models import Health, Process, Provider
from providers.observed import Report, State
from providers.probing import rows
from providers.probing.metrics import Load
from providers.probing.outcomes import Track
from providers.probing.rows import Found

pytestmark = pytest.mark.django_db(transaction=True)

SICK = Track(State.UNHEALTHY, "gone", Load(3, 2), recovered=4)


def add(name: str = "a") -> Provider:
    return Provider.objects.create(name=name, base_url="http://127.0.0.1:1")


def pass_time(seconds: float) -> None:
    Health.objects.update(checked=F("checked") - timedelta(seconds=seconds))
    Process.objects.update(written=F("written") - timedelta(seconds=seconds))


def test_what_was_found_is_read_as_it_was_written():
    row, since, began = add(), timezone.now() - timedelta(hours=1), time.monotonic()
    rows.write({row.pk: Found(SICK, since, age_seconds=2.0)})

    found = rows.read()[row.pk]

    assert (found.track, found.since) == (SICK, since)
    assert 2.0 <= found.age_seconds < 2.1 + time.monotonic() - began


def test_later_finds_take_the_place_of_earlier_ones(django_assert_max_num_queries):
    providers = [add(f"p{number}") for number in range(50)]
    for track in (SICK, Track(State.HEALTHY)):
        found = {row.pk: Found(track, timezone.now()) for row in providers}
        with django_assert_max_num_queries(6):
            rows.write(found)

    assert {each.track for each in rows.read().values()} == {Track(State.HEALTHY)}
    assert len(rows.read()) == 50


def test_a_provider_that_is_gone_keeps_nothing_of_the_others_back():
    row = add()
    rows.write({uuid4(): Found(SICK, timezone.now()), row.pk: Found(SICK, timezone.now())})

    assert set(rows.read()) == {row.pk}


def test_finds_that_are_too_old_say_nothing_but_how_often_it_recovered():
    row = add()
    rows.write({row.pk: Found(SICK, timezone.now())})
    pass_time(TRUSTED_SECONDS + 1)

    assert rows.read()[row.pk].track == Track(recovered=4)


def test_a_state_of_another_version_is_unknown():
    row = add()
    rows.write({row.pk: Found(SICK, timezone.now())})
    Health.objects.update(state="on fire")

    assert rows.read()[row.pk].track.state is State.UNKNOWN


def test_what_a_server_says_can_always_be_kept():
    row = add()
    wild = Track(State.UNHEALTHY, "nul \0 and " + "much " * 500)
    rows.write({row.pk: Found(wild, timezone.now())})
    rows.report(uuid4(), {row.pk: Report(reason="nul \0", state="open")})

    kept = rows.read()[row.pk].track.reason
    assert kept.startswith("nul  and")
    assert len(kept) == rows.MOST_REASON_CHARACTERS


def test_processes_are_counted_while_they_report():
    one, two = uuid4(), uuid4()
    rows.report(one, {})
    assert rows.running() == 1
    pass_time(11)
    rows.report(two, {})
    assert rows.running() == 1
    rows.report(one, {})
    assert rows.running() == 2
    rows.leave(one)
    assert rows.running() == 1


def test_a_process_reports_what_it_sees():
    provider, process = uuid4(), uuid4()
    rows.report(process, {provider: Report(3, 2, "open", "it fails")})
    rows.report(process, {provider: Report(1, 0)})

    said = {"in_flight": 1, "waiting": 0, "state": "closed", "reason": ""}
    assert Process.objects.get(pk=process).reports == {str(provider): said}


def test_processes_that_ended_without_a_word_are_forgotten():
    rows.report(uuid4(), {})
    pass_time(rows.FORGET_SECONDS + 1)
    rows.report(uuid4(), {})
    rows.forget_the_dead()

    assert Process.objects.count() == 1
