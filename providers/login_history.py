"""Who logged in and out, and who failed to, as entries of the history."""

from __future__ import annotations

from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import QuerySet

LOGGED_IN, LOGGED_OUT, FAILED = "logged in", "logged out", "failed to log in"
MOST_FAILURES = 1000
"""Anybody can fail: only the newest are kept. Each is a line of the log, too."""


def record(event: str, name: str, address: str, user: User | None = None) -> None:
    """One entry. `name` is as it was typed where nobody of that name logged in."""
    LogEntry.objects.create(
        content_type=ContentType.objects.get_for_model(User),
        object_pk=str(user.pk) if user else "",
        object_id=user.pk if user else None,
        object_repr=name,
        action=LogEntry.Action.ACCESS,
        changes={"address": ["None", address]} if address else {},
        additional_data={"event": event},
        actor=user,
    )
    if event == FAILED:
        _drop_oldest_failures()


def event_of(entry: LogEntry) -> str:
    """What the entry records instead of a change of a row, or ""."""
    return str((entry.additional_data or {}).get("event", ""))


def failures() -> QuerySet[LogEntry]:
    found: QuerySet[LogEntry] = LogEntry.objects.filter(
        action=LogEntry.Action.ACCESS, additional_data__event=FAILED
    )
    return found


def _drop_oldest_failures() -> None:
    newest = failures().order_by("-pk").values_list("pk", flat=True)
    if last_dropped := newest[MOST_FAILURES : MOST_FAILURES + 1].first():
        _drop(failures().filter(pk__lte=last_dropped))


@transaction.atomic
def _drop(entries: QuerySet[LogEntry]) -> None:
    """Those of them that no other process drops at the same moment."""
    free = entries.select_for_update(skip_locked=True).values_list("pk", flat=True)
    LogEntry.objects.filter(pk__in=list(free)).delete()
