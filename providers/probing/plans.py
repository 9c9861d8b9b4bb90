"""What processes sent where of late, and the plan made of it, in the database and back. Not for an
event loop."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.db.models import F
from django.db.models.functions import Now

from providers.health_rows import LIVE_SECONDS
from providers.homes import NO_HOMES, NOTHING_USED, Homes, Prefix, Usage, added, planned
from providers.models import Plan, Process

HOMES = "homes"
RECENT_SECONDS = 20
"""What was counted longer ago says nothing of now."""

MOST_SAID = 1e9
"""Of calls or weight: more than there can be, and their sums are numbers that JSON has words for."""

Calls = Annotated[float, msgspec.Meta(ge=0, le=MOST_SAID)]
Weight = Annotated[float, msgspec.Meta(ge=1 / MOST_SAID, le=MOST_SAID)]
Weights = Annotated[dict[UUID, Weight], msgspec.Meta(min_length=1)]


@dataclass(frozen=True, slots=True)
class _Said:
    """A `Usage` in JSON. Many prefixes are shared out among the same servers: each set is there
    once, and prefixes are calls and the number of their set."""

    recent: dict[UUID, Calls] = field(default_factory=dict)
    sets: list[Weights] = field(default_factory=list)
    prefixes: dict[int, tuple[Calls, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Told:
    """A `Homes` in JSON."""

    recent: dict[UUID, Annotated[float, msgspec.Meta(ge=0, le=MOST_SAID**2)]] = field(
        default_factory=dict
    )
    of: dict[int, tuple[UUID, ...]] = field(default_factory=dict)


def said(usage: Usage) -> dict[str, Any]:
    """As it stands in a process's row."""
    numbers: dict[int, int] = {}
    sets: list[Weights] = []
    prefixes: dict[int, tuple[float, int]] = {}
    for key, prefix in usage.prefixes.items():
        if id(prefix.weights) not in numbers:
            numbers[id(prefix.weights)] = len(sets)
            sets.append(dict(prefix.weights))
        prefixes[key] = round(prefix.calls, 2), numbers[id(prefix.weights)]
    recent = {server: round(calls, 2) for server, calls in usage.recent.items()}
    told: dict[str, Any] = msgspec.to_builtins(_Said(recent, sets, prefixes), str_keys=True)
    return told


def heard(told: Any) -> Usage:
    """Nothing, if it is of a version of Aurora that says it otherwise."""
    try:
        usage = msgspec.convert(told, _Said, str_keys=True)
        prefixes = {
            key: Prefix(calls, usage.sets[number])
            for key, (calls, number) in usage.prefixes.items()
        }
    except (msgspec.ValidationError, IndexError):
        return NOTHING_USED
    return Usage(usage.recent, prefixes)


def plan() -> None:
    """Make the next plan, of what the processes that run have said."""
    live = Process.objects.filter(written__gt=Now() - timedelta(seconds=LIVE_SECONDS))
    told = live.order_by("pk").values_list("usage", flat=True)
    before = read()
    homes = planned(before, added(map(heard, told), before.of))
    if homes != before:
        write(homes)


def write(homes: Homes) -> None:
    told = msgspec.to_builtins(homes, str_keys=True)
    Plan.objects.update_or_create(pk=HOMES, defaults={"written": Now(), "said": told})


def read() -> Homes:
    """The plan there is: one query."""
    rows = Plan.objects.filter(pk=HOMES).annotate(age=Now() - F("written"))
    row: tuple[Any, timedelta] | None = rows.values_list("said", "age").first()
    if row is None:
        return NO_HOMES
    try:
        told = msgspec.convert(row[0], _Told, str_keys=True)
    except msgspec.ValidationError:
        return NO_HOMES
    is_old = row[1].total_seconds() > RECENT_SECONDS
    return Homes({} if is_old else told.recent, told.of)
