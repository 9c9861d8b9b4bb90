"""What was found and what processes report, in the database and back. Not for an event loop."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from providers.health import TRUSTED_SECONDS
from providers.health_rows import LIVE_SECONDS, MOST_REASON_CHARACTERS
from providers.homes import NOTHING_USED, Usage
from providers.models import Health, Process, Provider
from providers.observed import Report, State
from providers.probing import plans
from providers.probing.metrics import Load
from providers.probing.outcomes import Track
from providers.transactions import locked, retried

FORGET_SECONDS = 60
"""A process that has not written for so long leaves no row."""
ALIKE_SECONDS = 3
_STATES = {state.value: state for state in State}


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a server, since when it is in this state, and how old the last look is."""

    track: Track
    since: datetime
    age_seconds: float = 0.0
    checked: datetime | None = None
    """When that was, by the database's clock: tells one look from another."""


def write(found: Mapping[UUID, Found]) -> None:
    """Keep what was found of these providers, but for those that are gone.

    First rows are a transaction of their own: one that waits until a provider is deleted, or not,
    holds no row that whoever deletes it needs.
    """
    if not found:
        return
    there = Provider.objects.filter(pk__in=found).values_list("pk", "probed__pk")
    known = {pk: row is not None for pk, row in there}
    for is_known in (True, False):
        retried(partial(_write, [_row(pk, found[pk]) for pk in known if known[pk] is is_known]))


def _write(rows: Iterable[Health]) -> None:
    ordered = sorted(rows, key=lambda row: row.provider_id)  # as `transactions` says
    try:
        with transaction.atomic():
            Health.objects.bulk_create(
                ordered,
                update_conflicts=True,
                unique_fields=["provider"],
                update_fields=["state", "reason", "since", "checked", *_COUNTS],
            )
    except IntegrityError:  # a provider was deleted just now: the next look writes the others
        return


_COUNTS = ("running", "waiting", "load_known", "recovered")


def _row(provider: UUID, found: Found) -> Health:
    track = found.track
    return Health(
        provider_id=provider,
        state=track.state.value,
        reason=_kept(track.reason),
        since=found.since,
        checked=Now() - timedelta(seconds=found.age_seconds),
        running=track.load.running,
        waiting=track.load.waiting,
        load_known=track.load.is_known,
        recovered=track.recovered,
    )


def refresh(ages: Mapping[UUID, float]) -> None:
    """Say of the servers that are as they were how many seconds ago they were looked at: one
    transaction, and a statement for all whose ages are alike."""
    alike: dict[int, list[UUID]] = {}
    for provider, age in ages.items():
        alike.setdefault(math.ceil(age / ALIKE_SECONDS) * ALIKE_SECONDS, []).append(provider)
    if alike:
        retried(partial(_refresh, alike))


@transaction.atomic
def _refresh(alike: Mapping[int, list[UUID]]) -> None:
    providers = [provider for each in alike.values() for provider in each]
    list(locked(Health.objects.filter(pk__in=providers)).values_list("pk", flat=True))
    for age, each in alike.items():
        Health.objects.filter(pk__in=each).update(checked=Now() - timedelta(seconds=age))


def one_commit() -> AbstractContextManager[None]:
    """What is read and written within is one transaction. Not on SQLite, where it would keep other
    writers waiting for what is only read, and a commit costs little."""
    if connection.vendor == "sqlite":
        return nullcontext()
    return cast(AbstractContextManager[None], transaction.atomic())


def read() -> dict[UUID, Found]:
    """What was last found, of each provider that was looked at: one query."""
    rows = Health.objects.annotate(age=Now() - F("checked"))
    return {row.provider_id: _found(row, row.age) for row in rows}


def _found(row: Health, age: timedelta) -> Found:
    """A look that is too old says nothing of now; nor does a state of another version of Aurora."""
    seconds = max(0.0, age.total_seconds())
    if seconds > TRUSTED_SECONDS:
        return Found(Track(recovered=row.recovered), row.since, seconds, row.checked)
    state = _STATES.get(row.state, State.UNKNOWN)
    load = Load(row.running, row.waiting, row.load_known)
    track = Track(state, row.reason, load, row.recovered)
    return Found(track, row.since, seconds, row.checked)


def report(process: UUID, reports: Mapping[UUID, Report], usage: Usage = NOTHING_USED) -> None:
    """Say that this process runs, what it sees of the servers, and where its calls went of late."""
    said = {str(provider): _said(each) for provider, each in reports.items()}
    told: dict[str, Any] = {"written": Now(), "reports": said, "usage": plans.said(usage)}
    if not Process.objects.filter(pk=process).update(**told):
        Process.objects.create(pk=process, **told)


def _said(report: Report) -> dict[str, Any]:
    return {**asdict(report), "reason": _kept(report.reason)}


def running() -> int:
    """How many processes the installation has."""
    live = Now() - timedelta(seconds=LIVE_SECONDS)
    return Process.objects.filter(written__gt=live).count()


def leave(process: UUID) -> None:
    """This process ends."""
    Process.objects.filter(pk=process).delete()


def forget_the_dead() -> None:
    """Remove processes that ended without a word."""
    Process.objects.filter(written__lt=Now() - timedelta(seconds=FORGET_SECONDS)).delete()


def _kept(reason: str) -> str:
    """PostgreSQL keeps no NUL character, wherever it stands."""
    return reason.replace("\0", "")[:MOST_REASON_CHARACTERS]
