"""What clients would miss if some servers took no calls: asked before they are drained, disabled or
deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from providers import aliases, catalog, health_rows
from providers.health import Standing
from providers.models import Provider
from providers.snapshot import ProviderEntry, served
from providers.transactions import consistent_read

MOST_NAMED = 20
FAILING = (Standing.MISCONFIGURED, Standing.UNHEALTHY)
Entries = Mapping[str, ProviderEntry]


@dataclass(frozen=True, slots=True)
class Consequences:
    """Names in order. `models` are those that no other server takes calls for; `doubtful` those
    whose other servers all fail; `stranded` are the aliases with no server left, `naming` those
    with a target that names one of the servers."""

    models: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()
    stranded: tuple[str, ...] = ()
    naming: tuple[str, ...] = ()

    @property
    def sentences(self) -> list[str]:
        """For the operator; none if clients would miss nothing."""
        return list(self._sentences())

    @property
    def digest(self) -> str:
        """Tells whether what was confirmed is still what would happen."""
        return hashlib.sha256(repr(self).encode()).hexdigest()

    def _sentences(self) -> Iterator[str]:
        if self.models:
            yield f"No other server takes calls for {_listed('model', self.models)}."
        if self.doubtful:
            yield f"All other servers fail at the moment for {_listed('model', self.doubtful)}."
        if self.stranded:
            yield f"No server is left for {_listed('alias', self.stranded)}."
        if self.naming:
            yield f"Targets of {_listed('alias', self.naming)} lead there by name."


@consistent_read()
def of(leaving: Collection[UUID]) -> Consequences:
    """What it means that these servers take no calls any more: nothing for those that take none
    already. Five queries."""
    taking = {e.name: e for e in catalog.enabled_providers().values() if not e.draining}
    staying = {name: entry for name, entry in taking.items() if entry.id not in leaving}
    gone = {name: entry for name, entry in taking.items() if entry.id in leaving}
    if not gone:
        return Consequences()
    models = sorted({model for entry in gone.values() for model in entry.models})
    left = {model: _having(model, staying) for model in models}
    failing = _failing()
    written = catalog.written(catalog.enabled_aliases())
    return Consequences(
        models=tuple(model for model in models if not left[model]),
        doubtful=tuple(model for model in models if left[model] and left[model] <= failing),
        stranded=tuple(_stranded(written, taking, staying)),
        naming=_naming(written, gone),
    )


@consistent_read()
def of_deleting(leaving: Collection[UUID]) -> Consequences:
    """The same, and the aliases that name one of the servers, whether it takes calls or not: its
    name will mean nothing."""
    names = Provider.objects.filter(pk__in=leaving).values_list("name", flat=True)
    written = catalog.written(catalog.enabled_aliases())
    return replace(of(leaving), naming=_naming(written, set(names)))


def _having(model: str, entries: Entries) -> set[UUID]:
    return {entry.id for entry in entries.values() if model in entry.models}


def _failing() -> set[UUID]:
    rows = health_rows.without_models(Provider.objects.filter(enabled=True))
    seen = health_rows.seen(rows)
    return {pk for pk, now in seen.items() if now.condition.standing in FAILING}


def _stranded(written: aliases.Written, taking: Entries, staying: Entries) -> Iterator[str]:
    for name, tiers in aliases.resolve(written).tiers.items():
        if _is_served(tiers, taking) and not _is_served(tiers, staying):
            yield name


def _naming(written: aliases.Written, providers: Container[str]) -> tuple[str, ...]:
    return tuple(
        name
        for name, rows in written.items()
        if any(target.provider in providers for _, target in rows)
    )


def _is_served(tiers: aliases.Tiers, entries: Entries) -> bool:
    return any(served(target, entries) for tier in tiers for target in tier)


def _listed(noun: str, names: tuple[str, ...]) -> str:
    """ "the model a", "the models a, b", or the first of many and how many more there are."""
    nouns = noun if len(names) == 1 else f"{noun}{'es' if noun.endswith('s') else 's'}"
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"the {nouns} {', '.join(names[:MOST_NAMED])}{more}"
