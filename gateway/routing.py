"""Selector + Snapshot -> Target. Pure.

A selector is what a client puts in `model`. It is split at its first slash only, because model
ids hold slashes themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.endpoints import TABLE
from gateway.errors import UnknownModel, UnsupportedEndpoint
from gateway.refusals import no_such_route
from providers.snapshot import ProviderEntry, Snapshot

PUBLIC_ROUTES = frozenset(path for row in TABLE for path in row.upstream_paths)
"""The paths of servers that some endpoint leads to: of no others is a caller told."""


@dataclass(frozen=True, slots=True)
class Target:
    """The server a call goes to, and the id by which that server knows the model."""

    provider: ProviderEntry
    model: str


def route(selector: str, snapshot: Snapshot) -> Target:
    """Where `selector` leads; the first by name if several serve it. Raises UnknownModel."""
    target = next(candidates(selector, snapshot), None)
    if target is None:
        raise UnknownModel(
            f"The model {selector[:200]!r} does not exist here. GET /v1/models lists those that do."
        )
    return target


Lacks = Callable[[ProviderEntry, str], bool]
"""Whether a provider's server is known to have no such route."""


@dataclass(frozen=True, slots=True)
class Way:
    """A target, and the path by which it is called."""

    target: Target
    path: str


def way(selector: str, snapshot: Snapshot, paths: Sequence[str], lacks: Lacks) -> Way:
    """Where `selector` leads by the first of `paths` that one of its servers has, first by name.

    Raises UnknownModel, or UnsupportedEndpoint where the model is there and none of `paths`.
    """
    targets = list(candidates(selector, snapshot))
    for path in paths:
        for target in targets:
            if not lacks(target.provider, path):
                return Way(target, path)
    raise unsupported(route(selector, snapshot), paths[0])


def unsupported(target: Target, path: str) -> UnsupportedEndpoint:
    """What is told of a model whose server lacks a route: which it has, as far as it says."""
    has = sorted((target.provider.routes or frozenset()) & PUBLIC_ROUTES)
    told = f" It has {', '.join(has)}." if has else ""
    said = no_such_route(target.provider.name, target.model, path)
    return UnsupportedEndpoint(said + told, param="model")


def candidates(selector: str, snapshot: Snapshot) -> Iterator[Target]:
    """Every target that `selector` may mean, best first, each once.

    A provider of that name; then any provider of that type; then the whole as an upstream id.
    """
    prefix, slash, rest = selector.partition("/")
    named = snapshot.providers.get(prefix)
    if slash and named is not None and rest in named.models:
        yield Target(named, rest)
    for provider in snapshot.providers.values():
        if slash and provider.type == prefix and provider is not named and rest in provider.models:
            yield Target(provider, rest)
    for provider in snapshot.providers.values():
        if selector in provider.models:
            yield Target(provider, selector)
