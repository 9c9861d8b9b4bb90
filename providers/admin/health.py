"""How a provider is doing, in a word: read from what discovery last found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.timesince import timesince

from providers import catalog
from providers.models import Discovery, Provider

CHOICES = (
    ("healthy", "healthy"),
    ("unreachable", "unreachable"),
    ("unasked", "not asked yet"),
    ("disabled", "disabled"),
)


@dataclass(frozen=True, slots=True)
class Health:
    """`kind` is one of CHOICES; `colour` one of the label's colours; `note` a few words more."""

    kind: str
    label: str
    colour: str
    note: str


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


def of(provider: Provider) -> Health:
    """Without a query if `discovery` was selected with the provider."""
    found = discovery_of(provider)
    if not provider.enabled:
        return Health("disabled", "disabled", "default", "no call goes to it")
    if found is None or found.asked is None:
        return Health("unasked", "not asked yet", "info", "")
    if found.error:
        return Health("unreachable", "unreachable", "danger", _since(found.answered))
    return Health("healthy", "healthy", "success", f"asked {ago(found.asked)}")


def matching(kind: str) -> Q:
    """The providers whose health is of `kind`."""
    unasked = Q(discovery=None) | Q(discovery__asked=None)
    return {
        "disabled": Q(enabled=False),
        "unasked": Q(enabled=True) & unasked,
        "unreachable": Q(enabled=True) & ~unasked & ~Q(discovery__error=""),
        "healthy": Q(enabled=True) & ~unasked & Q(discovery__error=""),
    }[kind]


def ago(when: datetime) -> str:
    """ "12 minutes ago"; below a minute "just now"."""
    if (timezone.now() - when).total_seconds() < 60:
        return "just now"
    return f"{timesince(when, depth=1)} ago"


def _since(answered: datetime | None) -> str:
    return f"last answered {ago(answered)}" if answered else "has never answered"


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
