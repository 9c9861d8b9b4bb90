"""What an operator should know of an alias: that nothing serves a target of it, or that it stands
before a model. For pages and the management API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from providers import aliases, catalog, patterns
from providers.models import Alias, AliasTarget
from providers.snapshot import ProviderEntry, served
from providers.transactions import consistent_read

MOST_SUMMED_UP = 10
MOST_SUGGESTED = 1000


@dataclass(frozen=True, slots=True)
class Seen:
    """What flags are told from, read once for all aliases of a page or an answer."""

    providers: Mapping[str, ProviderEntry]
    written: aliases.Written
    tiers: Mapping[str, aliases.Tiers]

    def flags(self, alias: Alias) -> list[str]:
        """Nothing more is asked of the database if its targets and their aliases are there."""
        unserved = [each.named for each in alias.targets.all() if not self.is_served(each)]
        named = ", ".join(unserved[:MOST_SUMMED_UP])
        shadowed = self.shadowed(alias.name)
        return [
            *([f"nothing serves {named}"] if unserved else []),
            *([f"stands before {shadowed}"] if shadowed else []),
        ]

    def is_served(self, row: AliasTarget) -> bool:
        target = catalog.target_entry(row)
        other = aliases.leads_to(row.alias.name, target, self.written)
        if other is None:
            return bool(served(target, self.providers))
        return any(served(each, self.providers) for tier in self.tiers[other] for each in tier)

    def shadowed(self, name: str) -> str:
        """What clients would get by this name without the alias; empty if nothing."""
        prefix, _, model = name.partition("/")
        named = self.providers.get(prefix)
        if named is not None and model in named.models:
            return f"{model} of {prefix}"
        if any(e.type == prefix and model in e.models for e in self.providers.values()):
            return f"{model} of every {prefix} server"
        of = [entry.name for entry in self.providers.values() if name in entry.models]
        return f"the model of that id of {', '.join(of[:MOST_SUMMED_UP])}" if of else ""

    def models(self) -> list[str]:
        """Ids and aliases to choose a target's model from."""
        ids = {model for entry in self.providers.values() for model in entry.models}
        names = {name for name in self.written if not patterns.is_pattern(name)}
        return sorted(ids | names)[:MOST_SUGGESTED]


def seen_now() -> Seen:
    """Three queries."""
    with consistent_read():
        written = catalog.written(catalog.enabled_aliases())
        providers = catalog.enabled_providers()
    return Seen(providers, written, aliases.resolve(written).tiers)
