"""Behind which Auroras a model is served, as one Aurora tells another in its list. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MEMBER = "aurora_via"
"""Of a model's card: the ids of the Auroras, the one that lists it first."""
MOST_VIAS = 8


def of(card: Mapping[str, Any]) -> list[str]:
    said = card.get(MEMBER)
    return [id for id in said if isinstance(id, str)] if isinstance(said, list) else []


def leads_back(card: Mapping[str, Any], own: tuple[str, ...]) -> bool:
    """Whether the model is served from here: it would come back under an ever longer name."""
    via = of(card)
    return len(via) > MOST_VIAS or not set(own).isdisjoint(via)


def told(card: Mapping[str, Any], own: tuple[str, ...]) -> Mapping[str, Any]:
    """The card for another Aurora."""
    return {**card, MEMBER: [*own[:1], *of(card)]}


def untold(card: Mapping[str, Any]) -> Mapping[str, Any]:
    """The card for everybody else."""
    return (
        {name: value for name, value in card.items() if name != MEMBER} if MEMBER in card else card
    )
