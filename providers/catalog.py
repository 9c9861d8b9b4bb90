"""Rows become the snapshot that calls read; the catalog holds the one of the moment."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from providers import addresses, aliases, revision, secrets
from providers.models import Alias, AliasTarget, ApiKey, ModelsMode, Provider, ResponseModel
from providers.snapshot import (
    NOT_LOADED,
    AliasEntry,
    Card,
    KeyEntry,
    ProviderEntry,
    Snapshot,
    TargetEntry,
)
from providers.transactions import consistent_read

log = logging.getLogger("aurora.catalog")
MOST_LOGGED_CYCLES = 10

ENTER_AGAIN = "enter it again in the admin"


class Catalog:
    """The snapshot of the moment. Reading it costs an attribute, from any thread."""

    def __init__(self, snapshot: Snapshot = NOT_LOADED) -> None:
        self._snapshot = snapshot
        self._publishing = threading.Lock()

    def current(self) -> Snapshot:
        return self._snapshot

    def publish(self, snapshot: Snapshot) -> None:
        """Every call that begins from now on reads `snapshot`; those under way keep theirs."""
        with self._publishing:
            self._snapshot = snapshot

    def begin_with(self, snapshot: Snapshot) -> None:
        """Publish what was read before anything else could be; what has been published since is newer."""
        with self._publishing:
            held = self._snapshot
            if held is NOT_LOADED:
                self._snapshot = snapshot
            elif held.revision == NOT_LOADED.revision:  # of all else, keys alone were read since
                self._snapshot = snapshot.with_keys(held.keys)


def load() -> Snapshot:
    """The snapshot of the rows as they are now: five queries at most, whatever the number of rows.

    All of them see one moment: a provider is never renamed in it and an alias not yet.
    """
    with consistent_read():
        return _loaded()


def _loaded() -> Snapshot:
    number = revision.current()
    return Snapshot(
        revision=number,
        providers=enabled_providers(),
        keys=usable_keys(),
        aliases=_aliases(),
    )


def usable_keys() -> Mapping[str, KeyEntry]:
    """The keys that calls are accepted with, by digest: one query."""
    return MappingProxyType({key.digest: _key_entry(key) for key in ApiKey.objects.usable()})


def enabled_providers() -> Mapping[str, ProviderEntry]:
    """The enabled providers by name, in the order of their names: one query."""
    rows = Provider.objects.filter(enabled=True).select_related("discovery").order_by("name")
    return MappingProxyType({entry.name: entry for entry in _entries(rows)})


def enabled_aliases() -> list[Alias]:
    """The enabled aliases with their targets: two queries."""
    rows = Alias.objects.filter(enabled=True).order_by("name")
    return list(rows.prefetch_related("targets"))


def written(rows: Iterable[Alias]) -> dict[str, list[tuple[int, TargetEntry]]]:
    """`rows` as providers.aliases takes them."""
    return {
        row.name: [(each.tier, target_entry(each)) for each in row.targets.all()] for row in rows
    }


def target_entry(row: AliasTarget) -> TargetEntry:
    return TargetEntry(row.provider, row.model, row.weight)


def _aliases() -> Mapping[str, AliasEntry]:
    rows = enabled_aliases()
    found = aliases.resolve(written(rows))
    if found.cycles:
        named = "; ".join(" -> ".join(cycle) for cycle in found.cycles[:MOST_LOGGED_CYCLES])
        log.error("aliases lead to each other, so what leads on there was left out: %s", named)
    if found.shortened:
        log.error("aliases lead to too many targets: %s", ", ".join(found.shortened))
    return MappingProxyType({row.name: _alias_entry(row, found.tiers[row.name]) for row in rows})


def _alias_entry(row: Alias, tiers: aliases.Tiers) -> AliasEntry:
    return AliasEntry(
        name=row.name,
        tiers=tiers,
        policy=row.policy,
        says_asked_model=row.response_model == ResponseModel.ASKED,
        resumes=row.resumes,
        queue_calls=row.queue_calls,
        queue_seconds=row.queue_seconds,
    )


def _entries(rows: Iterable[Provider]) -> Iterator[ProviderEntry]:
    """One row that was spoilt past the models costs itself alone."""
    for row in rows:
        try:
            yield provider_entry(row)
        except addresses.BadAddress as error:
            log.error("provider %s is left out: its base URL is %s", row.name, error)


def provider_entry(row: Provider) -> ProviderEntry:
    """`row` as calls see it. A key that cannot be opened makes it an entry with a problem."""
    key, problem = "", ""
    try:
        key = row.api_key
    except secrets.Unopenable as error:
        problem = f"{error}: {ENTER_AGAIN}"
        log.error("provider %s: %s", row.name, problem)
    return ProviderEntry(
        id=row.id,
        name=row.name,
        type=row.type,
        address=addresses.parse(row.base_url),
        authorization=f"Bearer {key}" if key else None,
        models=MappingProxyType({card["id"]: card for card in served_cards(row)}),
        passthrough=row.passthrough,
        connect_seconds=row.connect_seconds,
        first_byte_seconds=row.first_byte_seconds,
        idle_seconds=row.idle_seconds,
        problem=problem,
        routes=discovered_routes(row),
        translation=row.translation,
        weight=row.weight,
        max_concurrency=row.max_concurrency,
        draining=row.draining,
        repeats_after_timeout=row.repeats_after_timeout,
        models_known=row.models_mode == ModelsMode.ALLOWLIST or _has_answered(row),
    )


def served_cards(row: Provider) -> Iterable[Card]:
    """The cards of the models that `row` serves, by its mode, its list and what was discovered."""
    discovered: dict[str, Card] = {card["id"]: card for card in discovered_cards(row)}
    if row.models_mode == ModelsMode.DISCOVER:
        return discovered.values()
    if row.models_mode == ModelsMode.FALLBACK and discovered:
        return discovered.values()
    created = int(row.created.timestamp()) if row.created else 0  # 0: not saved yet
    return [discovered.get(model, {"id": model, "created": created}) for model in row.model_ids]


def _has_answered(row: Provider) -> bool:
    return hasattr(row, "discovery") and bool(row.discovery.answered or row.discovery.cards)


def discovered_cards(row: Provider) -> list[dict[str, Any]]:
    return row.discovery.cards if hasattr(row, "discovery") else []


def discovered_routes(row: Provider) -> frozenset[str] | None:
    """The paths that the server takes a POST on; None if it does not say or was never asked."""
    routes = row.discovery.routes if hasattr(row, "discovery") else None
    return None if routes is None else frozenset(routes)


def _key_entry(key: ApiKey) -> KeyEntry:
    return KeyEntry(
        id=key.id,
        name=key.name,
        hint=key.hint,
        kind=key.kind,
        expires=key.expires,
        owner=key.owner,
    )
