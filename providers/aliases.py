"""Aliases that lead to other aliases become flat tiers of targets. Pure.

A target without provider that has the name of another alias stands for that alias's tiers. One
that has its own alias's name means the model of that id: so an alias may stand before a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from providers.snapshot import TargetEntry

MOST_TARGETS = 100
"""Rows of one alias."""
MOST_RESOLVED_TARGETS = 500
"""Targets of one alias with all that its rows lead to."""
LEAST_SHARE = 1e-9
"""A weight never becomes nought, however deep aliases lead to each other."""

Tier = tuple[TargetEntry, ...]
Tiers = tuple[Tier, ...]
Written = Mapping[str, Sequence[tuple[int, TargetEntry]]]
"""The enabled aliases by name: each target with the number of its tier, in any order."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """What the aliases lead to, in the order they were given in."""

    tiers: Mapping[str, Tiers]
    cycles: tuple[tuple[str, ...], ...] = ()
    """The names along each that was cut, the first once more at its end: what leads on in one was
    left out."""
    shortened: tuple[str, ...] = ()
    """The aliases that led to more than MOST_RESOLVED_TARGETS; the rest was left out."""


def leads_to(alias: str, target: TargetEntry, known: Written) -> str | None:
    """The other alias that `target`, of `alias`, stands for; None if it is a model."""
    is_other = not target.provider and target.model != alias and target.model in known
    return target.model if is_other else None


def resolve(written: Written) -> Resolution:
    """Flat tiers for each alias. A cycle is cut, and never followed."""
    graph, cycles = _graph(written), []
    while cycle := _cycle(graph):
        cycles.append(cycle)
        for name, following in pairwise(cycle):
            graph[name].discard(following)
    resolved: dict[str, Tiers] = {}
    shortened = []
    for name in TopologicalSorter(graph).static_order():
        tiers = _tiers(name, written, graph[name], resolved)
        resolved[name] = _shortened(tiers)
        if resolved[name] != tiers:
            shortened.append(name)
    in_order = {name: resolved[name] for name in written}
    return Resolution(in_order, tuple(cycles), tuple(sorted(shortened)))


def _graph(written: Written) -> dict[str, set[str]]:
    return {
        name: {other for _, target in rows if (other := leads_to(name, target, written))}
        for name, rows in written.items()
    }


def _cycle(graph: Mapping[str, Iterable[str]]) -> tuple[str, ...] | None:
    """The names along one, the first once more at its end; None if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return tuple(reversed(error.args[1]))  # it names each before the one that leads to it
    return None


def _tiers(
    alias: str, written: Written, followed: set[str], resolved: Mapping[str, Tiers]
) -> Tiers:
    rows = written[alias]
    flat: list[Tier] = []
    for number in sorted({number for number, _ in rows}):
        parts = [
            _part(alias, target, written, followed, resolved)
            for tier, target in rows
            if tier == number
        ]
        flat += _side_by_side(parts)
    return tuple(flat)


def _part(
    alias: str,
    target: TargetEntry,
    written: Written,
    followed: set[str],
    resolved: Mapping[str, Tiers],
) -> Tiers:
    """What `target` puts into its tier, and into tiers that follow at once."""
    other = leads_to(alias, target, written)
    if other is None:
        return ((target,),)
    if other not in followed:
        return ()
    return tuple(tuple(_shares(tier, target.weight)) for tier in resolved[other])


def _shares(tier: Tier, weight: float) -> Iterator[TargetEntry]:
    """`tier` with weights that add up to `weight`."""
    total = sum(target.weight for target in tier)
    for target in tier:
        yield replace(target, weight=max(LEAST_SHARE, weight * target.weight / total))


def _side_by_side(parts: Sequence[Tiers]) -> Iterator[Tier]:
    """First tiers with first ones, second with second ones, and so on."""
    for depth in range(max(map(len, parts), default=0)):
        yield _joined(target for part in parts if depth < len(part) for target in part[depth])


def _joined(targets: Iterable[TargetEntry]) -> Tier:
    """Each model of a provider once, with all the weight it has."""
    found: dict[tuple[str, str], TargetEntry] = {}
    for target in targets:
        place = (target.provider, target.model)
        held = found.get(place)
        found[place] = replace(target, weight=held.weight + target.weight) if held else target
    return tuple(found.values())


def _shortened(tiers: Tiers) -> Tiers:
    kept: list[Tier] = []
    room = MOST_RESOLVED_TARGETS
    for tier in tiers:
        if room > 0:
            kept.append(tier[:room])
            room -= len(kept[-1])
    return tuple(kept)
