"""Selector + Snapshot -> targets. Pure.

A selector is what a client puts in `model`: an alias, or else it is split at its first slash
only, because model ids hold slashes themselves. What nobody serves may be matched by an alias whose
name is a pattern.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.endpoints import INVOCATIONS, TABLE
from gateway.errors import GatewayError, ModelsUnknown, UnknownModel, UnsupportedEndpoint
from gateway.refusals import no_such_route
from providers import patterns
from providers.snapshot import AliasEntry, ProviderEntry, Snapshot, TargetEntry, served

PUBLIC_ROUTES = frozenset(path for row in TABLE for path in row.upstream_paths) - {INVOCATIONS}
"""The servers' paths that some endpoint of Aurora's leads to, but for one that each server has.
Errors name no others."""

MOST_SHOWN_CHARACTERS = 200
MOST_NAMED = 3
"""Providers that an error names."""


DEFAULT = "default"
"""The alias that calls without a `model` go by."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server a call may go to, and the id by which that server knows the model."""

    provider: ProviderEntry
    model: str


@dataclass(frozen=True, slots=True)
class Share:
    """A target, and its weight beside the others of its tier."""

    target: Target
    weight: float


def tiers(selector: str, snapshot: Snapshot) -> list[list[Share]]:
    """Where `selector` leads, best tier first. No tier is empty; there are none if nobody serves it."""
    alias = alias_of(selector, snapshot)
    if alias is not None:
        return _of_alias(alias, snapshot)
    found = [_even(targets) for targets in _readings(selector, snapshot)]
    return [tier for tier in found if tier]


def name_of(selector: str, snapshot: Snapshot) -> str:
    """The name that `selector` goes by: of the alias whose pattern it matches, where it means
    nothing else; else its own."""
    if not snapshot.patterns or selector in snapshot.aliases or _means_a_model(selector, snapshot):
        return selector
    return patterns.matching(selector, snapshot.patterns) or selector


def alias_of(selector: str, snapshot: Snapshot) -> AliasEntry | None:
    return snapshot.aliases.get(name_of(selector, snapshot))


def _means_a_model(selector: str, snapshot: Snapshot) -> bool:
    """Whether somebody serves it, or it names a provider that has never said what it serves."""
    named = snapshot.providers.get(selector.partition("/")[0]) if "/" in selector else None
    if named is not None and not named.models_known:
        return True
    return any(_readings(selector, snapshot))


def _readings(selector: str, snapshot: Snapshot) -> Iterator[list[Target]]:
    """The tiers of a selector that is no alias. Only the first reading counts under which anybody
    serves it: `<provider>/<id>`, then `<type>/<id>`, then an id as it stands, slashes and all.
    Where a provider's name is a type as well, the others of that type are a second tier."""
    prefix, slash, rest = selector.partition("/")
    named = snapshot.providers.get(prefix) if slash else None
    if named is not None and rest in named.models:
        yield [Target(named, rest)]
    of_type = [p for p in snapshot.providers.values() if slash and p.type == prefix]
    found = list(_serving(rest, (p for p in of_type if p is not named)))
    if found or (named is not None and rest in named.models):
        yield found
    else:
        yield list(_serving(selector, snapshot.providers.values()))


def _serving(model: str, providers: Iterable[ProviderEntry]) -> Iterator[Target]:
    return (Target(provider, model) for provider in providers if model in provider.models)


def _even(targets: list[Target]) -> list[Share]:
    return [Share(target, target.provider.weight) for target in targets]


def _of_alias(alias: AliasEntry, snapshot: Snapshot) -> list[list[Share]]:
    found = [
        [share for target in tier for share in _of_target(target, snapshot)] for tier in alias.tiers
    ]
    return [_once(tier) for tier in found if tier]


def _of_target(target: TargetEntry, snapshot: Snapshot) -> Iterator[Share]:
    """The servers of one target share its weight, each by its own."""
    providers = served(target, snapshot.providers)
    whole = sum(provider.weight for provider in providers)
    return (
        Share(Target(provider, target.model), target.weight * provider.weight / whole)
        for provider in providers
    )


def _once(tier: list[Share]) -> list[Share]:
    """A server that two targets lead to, by the same model, is there once, with both weights."""
    weights: dict[tuple[str, str], float] = {}
    for share in tier:
        key = share.target.provider.name, share.target.model
        weights[key] = weights.get(key, 0.0) + share.weight
    firsts = {(share.target.provider.name, share.target.model): share.target for share in tier}
    return [Share(target, weights[key]) for key, target in firsts.items()]


def unnamed(snapshot: Snapshot) -> str:
    """The selector of a call that names none, as vLLM takes it: the alias DEFAULT, else the only
    model there is; "" where neither is."""
    if DEFAULT in snapshot.aliases:
        return DEFAULT
    models = {model for provider in snapshot.providers.values() for model in provider.models}
    return models.pop() if len(models) == 1 else ""


def route(selector: str, snapshot: Snapshot) -> Target:
    """The first of the targets that `selector` leads to. Raises UnknownModel or ModelsUnknown."""
    found = tiers(selector, snapshot)
    if not found:
        raise _unknown(selector, snapshot)
    return found[0][0].target


def _unknown(selector: str, snapshot: Snapshot) -> GatewayError:
    shown = repr(selector[:MOST_SHOWN_CHARACTERS])
    if silent := _silent(selector, snapshot):
        names = ", ".join(repr(provider.name) for provider in silent[:MOST_NAMED])
        return ModelsUnknown(
            f"The model {shown} is not known here yet, and these providers have not said yet what"
            f" they serve: {names}."
        )
    return UnknownModel(
        f"The model {shown} does not exist here. GET /v1/models lists those that do."
    )


def _silent(selector: str, snapshot: Snapshot) -> list[ProviderEntry]:
    """Those of the providers that `selector` may mean which have never said what they serve."""
    named = snapshot.providers.get(selector.partition("/")[0]) if "/" in selector else None
    if named is not None and alias_of(selector, snapshot) is None:
        return [] if named.models_known else [named]
    return [provider for provider in snapshot.providers.values() if not provider.models_known]


def unsupported(target: Target, path: str) -> UnsupportedEndpoint:
    """The error for a model whose server lacks `path`. It names the routes that the server has, as
    far as that says."""
    has = sorted((target.provider.routes or frozenset()) & PUBLIC_ROUTES)
    told = f" It has {', '.join(has)}." if has else ""
    said = no_such_route(target.provider.name, target.model, path)
    return UnsupportedEndpoint(said + told, param="model")
