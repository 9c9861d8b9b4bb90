"""The overview: what there is, what is wrong, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from auditlog.models import LogEntry
from django.http import HttpRequest
from django.utils.safestring import SafeString

from providers import health_rows
from providers.admin import changes, health, live
from providers.admin.history import ACTIONS, actor
from providers.health import Standing
from providers.health_rows import RELATED, Seen
from providers.models import ApiKey, Provider

MOST_ENTRIES = 8
MOST_PROVIDERS = 50
WORST_FIRST = (
    Standing.MISCONFIGURED,
    Standing.UNHEALTHY,
    Standing.DEGRADED,
    Standing.UNKNOWN,
    Standing.DRAINING,
    Standing.HEALTHY,
    Standing.DISABLED,
)


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the overview shows, as far as the user may see it."""
    user = request.user
    found: dict[str, Any] = {"v1_url": request.build_absolute_uri("/v1")}
    if user.has_perm("providers.view_provider"):
        found |= _providers()
    if user.has_perm("providers.view_apikey"):
        found["usable_keys"] = ApiKey.objects.usable().count()
    if user.has_perm("auditlog.view_logentry"):
        found["entries"] = _entries()
    return {**context, "title": "Overview", "overview": found}


@dataclass(frozen=True, slots=True)
class Row:
    """A provider as a line of the overview."""

    provider: Provider
    standing: Standing
    health: SafeString
    load: SafeString
    models: int
    error: str


def _providers() -> dict[str, Any]:
    held = list(Provider.objects.select_related(*RELATED))
    seen = health_rows.seen(held)
    rows = sorted((_row(provider, seen[provider.pk]) for provider in held), key=_worst_first)
    enabled = [row for row in rows if row.provider.enabled]
    shown = rows[:MOST_PROVIDERS]
    return {
        "providers": shown,
        "enabled": len(enabled),
        "healthy": live.placed(live.healthy(seen)),
        "models": sum(row.models for row in enabled),
        "live": live.poll(seen, [row.provider.pk for row in shown], counts=True),
    }


def _row(provider: Provider, seen: Seen) -> Row:
    return Row(
        provider,
        seen.condition.standing,
        live.placed(live.state(provider.pk, seen)),
        live.placed(live.load(provider.pk, seen)),
        len(health.models_of(provider)),
        health.error_of(provider),
    )


def _worst_first(row: Row) -> tuple[int, str]:
    return WORST_FIRST.index(row.standing), row.provider.name


def _entries() -> list[tuple[LogEntry, str, str, str]]:
    latest = LogEntry.objects.select_related("actor", "content_type")[:MOST_ENTRIES]
    return [(e, actor(e), ACTIONS[e.action], changes.summary(e)) for e in latest]
