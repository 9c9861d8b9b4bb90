"""What the pages say of rows that their environment or YAML file names no more."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from providers.models import ApiKey, Provider, Source


class NamedFilter(admin.SimpleListFilter):
    title, parameter_name = "named", "named"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("no", "no longer by its source")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Provider]) -> QuerySet[Provider]:
        return queryset.exclude(unnamed={}) if self.value() == "no" else queryset


def provider_note(provider: Provider) -> str:
    """Since when which source does not name it, and what that means; "" where all do."""
    if not provider.unnamed:
        return ""
    since = min(map(datetime.fromisoformat, provider.unnamed.values()))
    who = " and ".join(f"the {Source(source).label}" for source in sorted(provider.unnamed))
    fields = sorted(f for f, source in provider.field_sources.items() if source in provider.unnamed)
    stays = f"What it said stays ({', '.join(fields)})" if provider.is_named else "It stays"
    return (
        f"Not named any more: at the start of {since:%Y-%m-%d %H:%M} UTC {who} did not name it."
        f" {stays} until somebody deletes it here, or runs manage.py seed --prune."
    )


def key_note(key: ApiKey) -> str:
    """The same of a key whose variable is not set."""
    if not key.unnamed or not key.usable:
        return ""
    return (
        f"Not named any more: at the start of {key.unnamed:%Y-%m-%d %H:%M} UTC its variable was not"
        " set. It is accepted until somebody revokes it here, or runs manage.py seed --prune."
    )
