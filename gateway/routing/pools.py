"""Selector + paths + Snapshot -> Pool: all the ways a call may go, tier by tier. Pure.

A pool is worked out once and kept while neither the snapshot nor what is known of missing routes
changes: a call then only chooses within it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol
from uuid import UUID

from gateway.routing.distances import Distances, seed
from gateway.routing.selectors import Share, Target, name_of, route, tiers, unsupported
from providers.snapshot import NOT_LOADED, AliasEntry, ProviderEntry, Snapshot

MOST_POOLS = 4096
"""Most that are kept of one snapshot: there is one for each spelling of a selector that leads
anywhere, and clients choose the spelling. All that an alias matches by its pattern share one."""

Lacks = Callable[[ProviderEntry, str], bool]
"""Whether a provider's server is known to have no such route."""


@dataclass(frozen=True, slots=True)
class Way:
    """A target, and the path by which it is called."""

    target: Target
    path: str

    @property
    def provider(self) -> ProviderEntry:
        return self.target.provider


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Tier:
    """Ways that are as good as each other, with their weights beside each other.

    By its `name` turns are counted, and a call that waited finds it again in a newer pool. The
    rest is worked out once, for `choosing`: `distances` are its servers' from sessions, the same in
    every process; `sums` are the running sums of `weights`; `is_even` says that all weights are
    equal. `shares` are the servers' weights, of all their ways together; `models` are its parts by
    model, where a server is there by more than one, else empty. `scope` is a number that tiers have
    in common which lead to the same, in every process; see its function.
    """

    name: str
    ways: tuple[Way, ...]
    weights: tuple[float, ...]
    distances: Distances
    sums: tuple[float, ...]
    is_even: bool
    shares: tuple[float, ...]
    models: tuple[Part, ...]
    scope: int

    @classmethod
    def of(cls, name: str, ways: Sequence[Way], weights: Sequence[float]) -> Tier:
        return cls(
            name=name,
            ways=tuple(ways),
            weights=tuple(weights),
            distances=Distances([seed(way.provider.id) for way in ways], weights),
            sums=tuple(accumulate(weights)),
            is_even=len(set(weights)) == 1,
            shares=_shares(ways, weights),
            models=_models(name, ways, weights),
            scope=scope(ways, weights),
        )


@dataclass(frozen=True, slots=True)
class Part:
    """Of a tier: the numbers that its ways have there, and a tier of them alone."""

    numbers: tuple[int, ...]
    tier: Tier

    @property
    def weight(self) -> float:
        return self.tier.sums[-1]


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for pools of which no alias says otherwise."""

    policy: str = "affinity"
    queue_calls: int = 100
    queue_seconds: float = 30.0


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Where a selector leads. `tiers` is never empty, nor is any of them."""

    name: str
    """What the selector goes by: itself, or the alias whose pattern it matches."""
    tiers: tuple[Tier, ...]
    policy: str
    queue_calls: int
    """Most calls that wait in one process for a place in one tier."""
    queue_seconds: float
    says_asked_model: bool = False
    resumes: bool = False


def scope(ways: Sequence[Way], weights: Sequence[float]) -> int:
    """From 0 to 2**64: the lower half from the models alone, which stays when a server comes or
    goes; the upper from the servers, their models and their parts of the calls."""
    whole = sum(weights)
    leads = (
        f"{way.provider.id} {way.target.model} {weight / whole:.6f}"
        for way, weight in zip(ways, weights, strict=True)
    )
    return _half(leads) << 32 | _half({way.target.model for way in ways})


def _half(lines: Iterable[str]) -> int:
    digest = hashlib.blake2b("\n".join(sorted(lines)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big")


def _shares(ways: Sequence[Way], weights: Sequence[float]) -> tuple[float, ...]:
    whole: dict[UUID, float] = {}
    for way, weight in zip(ways, weights, strict=True):
        whole[way.provider.id] = whole.get(way.provider.id, 0.0) + weight
    return tuple(whole[way.provider.id] for way in ways)


def _models(name: str, ways: Sequence[Way], weights: Sequence[float]) -> tuple[Part, ...]:
    if len({way.provider.id for way in ways}) == len(ways):
        return ()
    found: dict[str, list[int]] = {}
    for number, way in enumerate(ways):
        found.setdefault(way.target.model, []).append(number)
    return tuple(
        Part(
            tuple(numbers), Tier.of(name, [ways[n] for n in numbers], [weights[n] for n in numbers])
        )
        for numbers in found.values()
    )


def pool(
    selector: str, snapshot: Snapshot, paths: Sequence[str], lacks: Lacks, settings: Settings
) -> Pool:
    """Where `selector` leads by one of `paths`; of each tier, the servers that have an earlier one
    come before those that have but a later one.

    Raises UnknownModel, ModelsUnknown, or UnsupportedEndpoint where the model is there and none of
    `paths`.
    """
    target, name = route(selector, snapshot), name_of(selector, snapshot)
    found = [
        part
        for number, tier in enumerate(tiers(selector, snapshot), start=1)
        for part in _by_path(f"{name}#{number}", tier, paths, lacks)
    ]
    if not found:
        raise unsupported(target, paths[0])
    return _set(name, found, snapshot.aliases.get(name), settings)


def _by_path(name: str, tier: Sequence[Share], paths: Sequence[str], lacks: Lacks) -> list[Tier]:
    """The tier in parts, one for each of `paths`: a server is there once, by the first that it has.
    One that has none is left out."""
    parts = []
    left = list(tier)
    for path in paths:
        having = [share for share in left if not lacks(share.target.provider, path)]
        left = [share for share in left if lacks(share.target.provider, path)]
        if having:
            ways = [Way(share.target, path) for share in having]
            parts.append(Tier.of(name + path, ways, [share.weight for share in having]))
    return parts


def _set(name: str, found: list[Tier], alias: AliasEntry | None, settings: Settings) -> Pool:
    policy, calls, seconds = settings.policy, settings.queue_calls, settings.queue_seconds
    if alias is None:
        return Pool(name, tuple(found), policy, calls, seconds)
    return Pool(
        name,
        tuple(found),
        alias.policy or policy,
        calls if alias.queue_calls is None else alias.queue_calls,
        seconds if alias.queue_seconds is None else alias.queue_seconds,
        says_asked_model=alias.says_asked_model,
        resumes=alias.resumes,
    )


class Missing(Protocol):
    """What is known of routes that servers lack; `version` changes when it does."""

    @property
    def version(self) -> int: ...

    def lacks(self, provider: ProviderEntry, path: str) -> bool: ...


class Pools:
    """Keeps the pools of the newest snapshot, MOST_POOLS at most. It belongs to one event loop."""

    def __init__(self, settings: Settings, missing: Missing) -> None:
        self.settings, self._missing = settings, missing
        self._of: tuple[Snapshot, int] = (NOT_LOADED, -1)
        self._pools: dict[tuple[str, tuple[str, ...]], Pool] = {}

    def find(self, selector: str, snapshot: Snapshot, paths: tuple[str, ...]) -> Pool:
        """As `pool`."""
        version = self._missing.version
        if self._of[0] is not snapshot or self._of[1] != version:
            self._pools.clear()
            self._of = snapshot, version
        found = self._pools.get((selector, paths))
        if found is None and snapshot.patterns:
            found = self._pools.get((name_of(selector, snapshot), paths))
        if found is None:
            found = pool(selector, snapshot, paths, self._missing.lacks, self.settings)
            if len(self._pools) >= MOST_POOLS:
                self._pools.clear()
            self._pools[found.name, paths] = found
        return found
