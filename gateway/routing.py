"""Selector + Snapshot -> Target. Pure.

A selector is what a client puts in `model`. It is split at its first slash only, because model
ids hold slashes themselves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.errors import UnknownModel
from providers.snapshot import ProviderEntry, Snapshot


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
