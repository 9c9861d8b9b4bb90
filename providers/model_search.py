"""Which providers have a model, by the names that clients may give it. Disabled ones count too.

A model has three names: its id, `<provider>/<id>` and `<type>/<id>`. An alias names the models of
its targets.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from providers import aliases, catalog, patterns
from providers.models import Provider
from providers.snapshot import TargetEntry
from providers.transactions import consistent_read

_AliasTiers = Mapping[str, aliases.Tiers]


@dataclass(frozen=True, slots=True)
class _Server:
    """A provider with the ids of the models that it serves, or would serve if it were enabled."""

    pk: UUID
    name: str
    type: str
    models: frozenset[str]

    def names(self, model: str) -> tuple[str, ...]:
        return model, f"{self.name}/{model}", f"{self.type}/{model}"

    def is_named_by(self, target: TargetEntry) -> bool:
        return target.provider in {"", self.name} and target.model in self.models


@consistent_read()
def serving(name: str) -> set[UUID]:
    """The ids of the providers that have the model `name`, or are targets of the alias `name`; if
    there are none, of the alias whose pattern it matches.

    Three queries.
    """
    servers, tiers = _servers(), _alias_tiers()
    found = {s.pk for s in servers for model in s.models if name in s.names(model)}
    if found or name in tiers:
        return found | _of_alias(name, tiers, servers)
    alias = patterns.matching(name, patterns.compiled(tiers))
    return _of_alias(alias, tiers, servers) if alias else set()


@consistent_read()
def matching(text: str) -> set[UUID]:
    """As `serving`, and the providers with a model whose name has all words of `text` in it."""
    words, servers = text.casefold().split(), _servers()
    found = {s.pk for s in servers if words and _has_a_model_with(words, s)}
    return found | _of_alias(text.strip(), _alias_tiers(), servers)


def _has_a_model_with(words: Iterable[str], server: _Server) -> bool:
    names = (name.casefold() for model in server.models for name in server.names(model))
    return any(all(word in name for word in words) for name in names)


def _of_alias(name: str, tiers: _AliasTiers, servers: Iterable[_Server]) -> set[UUID]:
    targets = [target for tier in tiers.get(name, ()) for target in tier]
    return {s.pk for s in servers if any(s.is_named_by(target) for target in targets)}


def _alias_tiers() -> _AliasTiers:
    """Of the enabled aliases, by name."""
    return aliases.resolve(catalog.written(catalog.enabled_aliases())).tiers


def _servers() -> list[_Server]:
    rows = Provider.objects.select_related("discovery").defer("discovery__routes")
    return [_Server(row.pk, row.name, row.type, _ids(row)) for row in rows]


def _ids(row: Provider) -> frozenset[str]:
    return frozenset(card["id"] for card in catalog.served_cards(row))
