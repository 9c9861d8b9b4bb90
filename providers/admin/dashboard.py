"""The overview: what there is, what is wrong, and what to do next."""

from __future__ import annotations

from typing import Any

from auditlog.models import LogEntry
from django.http import HttpRequest

from providers.admin import changes, health
from providers.admin.history import ACTIONS, actor
from providers.models import ApiKey, Provider

MOST_ENTRIES = 8
MOST_PROVIDERS = 50


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


def _providers() -> dict[str, Any]:
    rows = [
        (provider, health.of(provider), len(health.models_of(provider)), health.error_of(provider))
        for provider in Provider.objects.select_related("discovery")
    ]
    enabled = [row for row in rows if row[0].enabled]
    return {
        "providers": sorted(rows, key=_worst_first)[:MOST_PROVIDERS],
        "enabled": len(enabled),
        "healthy": sum(state.kind == "healthy" for _, state, _, _ in enabled),
        "models": sum(count for _, _, count, _ in enabled),
    }


def _worst_first(row: tuple[Provider, health.Health, int, str]) -> tuple[bool, str]:
    provider, state, *_ = row
    return state.kind != "unreachable", provider.name


def _entries() -> list[tuple[LogEntry, str, str, str]]:
    latest = LogEntry.objects.select_related("actor", "content_type")[:MOST_ENTRIES]
    return [(e, actor(e), ACTIONS[e.action], changes.summary(e)) for e in latest]
