"""The overview: what there is, what is wrong, and what to do next."""

from __future__ import annotations

from typing import Any

from auditlog.models import LogEntry
from django.http import HttpRequest

from providers.admin import changes, health, servers
from providers.admin.history import actor, deed, visible
from providers.health_rows import RELATED
from providers.models import ApiKey, Provider

MOST_ENTRIES = 8


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the overview shows, as far as the user may see it."""
    user = request.user
    found: dict[str, Any] = {"v1_url": request.build_absolute_uri("/v1")}
    if user.has_perm("providers.view_provider"):
        found |= _providers(request)
    if user.has_perm("providers.view_apikey"):
        found["api_keys"] = ApiKey.objects.counted()
        found["example_keys"] = list(ApiKey.objects.known_to_everybody())
    if user.has_perm("auditlog.view_logentry"):
        found["entries"] = _entries(request)
    return {**context, "title": "Overview", "overview": found}


def _providers(request: HttpRequest) -> dict[str, Any]:
    held = list(Provider.objects.select_related(*RELATED))
    enabled = [provider for provider in held if provider.enabled]
    return {
        "providers": len(held),
        "enabled": len(enabled),
        "models": sum(len(health.models_of(provider)) for provider in enabled),
        **servers.context(held, shows_all=servers.shows_all(request)),
    }


def _entries(request: HttpRequest) -> list[tuple[LogEntry, str, str, str]]:
    """The latest changes. Logins are none."""
    entries = LogEntry.objects.exclude(action=LogEntry.Action.ACCESS)
    latest = visible(request, entries).select_related("actor", "content_type")[:MOST_ENTRIES]
    return [(e, actor(e), deed(e), changes.summary(e)) for e in latest]
