"""What the pages show of a provider: how it is, and what discovery last found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.timesince import timesince

from providers import catalog, health_rows
from providers.health import Standing
from providers.models import Discovery, Provider

CHOICES = tuple((standing.value, standing.value) for standing in Standing)
COLOURS = {
    Standing.DISABLED: "default",
    Standing.DRAINING: "info",
    Standing.MISCONFIGURED: "danger",
    Standing.UNHEALTHY: "danger",
    Standing.DEGRADED: "warning",
    Standing.HEALTHY: "success",
    Standing.UNKNOWN: "default",
}
"""Of the labels, by standing."""


@dataclass(frozen=True, slots=True)
class Model:
    """A served model, as a row of a page. `length` is empty where the server does not say."""

    public_id: str
    length: str
    parent: str


def discovery_of(provider: Provider) -> Discovery | None:
    return getattr(provider, "discovery", None)


def error_of(provider: Provider) -> str:
    """What was wrong when it was last asked; empty also where it is not asked any more."""
    found = discovery_of(provider)
    return found.error if found and provider.enabled else ""


def answered_of(provider: Provider) -> str:
    """When it last answered, if it did not when it was last asked."""
    found = discovery_of(provider)
    if found is None or not found.error:
        return ""
    return f"last answered {ago(found.answered)}" if found.answered else "has never answered"


def of_standing(value: str | None) -> list[UUID] | None:
    """The ids of the providers that stand so, by two queries; None if it is no standing."""
    if value not in set(Standing):
        return None
    found = health_rows.seen(health_rows.without_models(Provider.objects.all()))
    return [pk for pk, seen in found.items() if seen.condition.standing == value]


def ago(when: datetime) -> str:
    """ "12 minutes ago"; below a minute "just now"."""
    if (timezone.now() - when).total_seconds() < 60:
        return "just now"
    return f"{timesince(when, depth=1)} ago"


def models_of(provider: Provider) -> list[Model]:
    """What `provider` serves, by the names that clients use."""
    return [
        Model(
            f"{provider.name}/{card['id']}",
            _text(card.get("max_model_len")),
            _text(card.get("parent")),
        )
        for card in catalog.served_cards(provider)
    ]


def routes_of(provider: Provider) -> list[str] | None:
    """The paths that the server takes a POST on, in order; None if it does not say."""
    routes = catalog.discovered_routes(provider)
    return None if routes is None else sorted(routes)


def _text(value: Any) -> str:
    return str(value)[:100] if isinstance(value, str | int | float) else ""
