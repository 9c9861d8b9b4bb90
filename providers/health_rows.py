"""Rows -> how each provider is, and what runs on it. For pages and the API; calls read no rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from providers import discovery
from providers.health import Condition, Facts, Probe, judge
from providers.models import Discovery, Health, Process, Provider
from providers.observed import Report, State

LIVE_SECONDS = 10
"""A process that has not written for this long is gone."""
MOST_REASON_CHARACTERS = 500
RELATED = ("discovery", "probed")
"""What to select with providers, so that `seen` makes one query whatever their number."""


def without_models(providers: QuerySet[Provider]) -> QuerySet[Provider]:
    """Those rows with what `seen` reads, and without what a server lists, which may be long."""
    return providers.select_related(*RELATED).defer("discovery__cards", "discovery__routes")


@dataclass(frozen=True, slots=True)
class Seen:
    """One provider at one moment. `in_flight` counts Aurora's calls, of all processes; `running`
    and `waiting` are the server's own, whoever sent them, and None where they are not known: no
    recent probe, or one that was not told."""

    condition: Condition
    in_flight: int = 0
    running: int | None = None
    waiting: int | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """What each running process has reported, by provider's id, as it stands in its row; and what
    time it is by the database's clock, which the rows are of."""

    reports: tuple[Mapping[str, Any], ...]
    now: datetime


def live() -> Live:
    """What there is now: one query."""
    running = Process.objects.filter(written__gt=Now() - timedelta(seconds=LIVE_SECONDS))
    found = list(running.order_by("pk").annotate(now=Now()).values_list("reports", "now"))
    reports = tuple(each if isinstance(each, dict) else {} for each, _ in found)
    return Live(reports, found[0][1] if found else timezone.now())


def seen(providers: Iterable[Provider]) -> dict[UUID, Seen]:
    """How each of them is now, by its id. One query if they were selected with RELATED."""
    reported = live()
    return {provider.pk: seen_by(provider, reported) for provider in providers}


def seen_by(provider: Provider, live: Live) -> Seen:
    """How it is, by what the processes reported. No query if it was selected with RELATED."""
    row: Health | None = getattr(provider, "probed", None)
    probe = _probe(row) if row else None
    key = str(provider.pk)
    facts = Facts(
        enabled=provider.enabled,
        draining=provider.draining,
        probe=probe,
        reports=tuple(_report(reports[key]) for reports in live.reports if key in reports),
        processes=len(live.reports),
        misconfigured=_misconfigured(getattr(provider, "discovery", None)),
    )
    condition = judge(facts, live.now)
    if row is None or probe is None or not (row.load_known and probe.is_of_now(live.now)):
        return Seen(condition, facts.in_flight)
    return Seen(condition, facts.in_flight, row.running, row.waiting)


def _probe(row: Health) -> Probe:
    """A state of another version of Aurora counts as unknown."""
    known = {state.value for state in State}
    state = State(row.state) if row.state in known else State.UNKNOWN
    return Probe(state, row.checked, row.reason, row.since)


def _report(said: Any) -> Report:
    """A process's report, as far as it is one: it may be of another version of Aurora."""
    members = said if isinstance(said, dict) else {}
    return Report(
        in_flight=_count(members.get("in_flight")),
        waiting=_count(members.get("waiting")),
        state=_text(members.get("state")),
        reason=_text(members.get("reason")),
    )


def _count(value: Any) -> int:
    return max(0, value) if isinstance(value, int) else 0


def _text(value: Any) -> str:
    return value[:MOST_REASON_CHARACTERS] if isinstance(value, str) else ""


def _misconfigured(found: Discovery | None) -> str:
    return found.error if found and discovery.is_misconfiguration(found.error) else ""
