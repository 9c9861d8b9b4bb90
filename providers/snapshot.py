"""What a call reads: providers, models and keys as frozen values. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any
from uuid import UUID

from providers import key_kinds
from providers.addresses import Address
from providers.patterns import Pattern, compiled, is_pattern

MOST_ID_CHARACTERS = 255

ITSELF = UUID(int=0)
"""Stands for a key's own id where no owner is named."""

Card = Mapping[str, Any]
"""A model card as vLLM sends it: `id`, and whatever else the server says of the model."""


@dataclass(frozen=True, slots=True)
class ProviderEntry:
    """An enabled vLLM server and the models it serves, by the ids it knows them by."""

    id: UUID
    name: str
    type: str
    address: Address
    authorization: str | None = field(repr=False)
    models: Mapping[str, Card]
    passthrough: str = "inference"
    connect_seconds: float = 5.0
    first_byte_seconds: float = 600.0
    idle_seconds: float = 300.0
    problem: str = ""
    """Why no call can be sent, such as a key that cannot be opened; empty if all is well."""
    routes: frozenset[str] | None = None
    """The paths that the server takes a POST on, as it says itself; None if it does not say."""
    translation: str = "auto"
    """"auto": what the server speaks goes to it as it came. "always": by way of chat completions."""
    weight: float = 1.0
    """Its share of the load beside other servers of the same model."""
    max_concurrency: int | None = None
    """Most calls at once, of all processes together; None: no limit."""
    draining: bool = False
    """It gets no new call."""
    repeats_after_timeout: bool = False
    """Whether a call that it left unanswered may be sent to another server."""
    models_known: bool = True
    """Whether it has ever said what it serves, or its row alone says it."""


@dataclass(frozen=True, slots=True)
class TargetEntry:
    """A model of the provider of this name; of every provider that serves it if `provider` is
    empty. `weight` is its share of its tier."""

    provider: str
    model: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class AliasEntry:
    """An enabled alias, with other aliases resolved: no target of it names one."""

    name: str
    tiers: tuple[tuple[TargetEntry, ...], ...]
    policy: str = ""
    """One of providers.models.Policy; empty: the installation's."""
    says_asked_model: bool = False
    """Whether answers say this name as their `model`, and not what the server says."""
    resumes: bool = False
    """Whether another server finishes the stream of one that dies."""
    queue_calls: int | None = None
    queue_seconds: float | None = None
    """None: the installation's."""


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A caller's key as far as a call needs it. Its secret is not here."""

    id: UUID
    name: str
    hint: str
    kind: str
    expires: datetime | None = None
    owner: UUID = ITSELF
    """Who owns what is kept: the same for a key and all that it is rotated into."""

    def __post_init__(self) -> None:
        if self.owner == ITSELF:
            object.__setattr__(self, "owner", self.id)

    @property
    def is_master(self) -> bool:
        return self.kind == key_kinds.MASTER

    @property
    def may_call(self) -> bool:
        return self.kind in key_kinds.THAT_CALL

    @property
    def may_manage(self) -> bool:
        return self.kind in key_kinds.THAT_MANAGE

    def is_usable(self, now: datetime) -> bool:
        """Whether it has not expired since it was read."""
        return self.expires is None or self.expires > now


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a call needs to know, of one moment. `providers` is in the order of their names."""

    revision: int
    providers: Mapping[str, ProviderEntry]
    keys: Mapping[str, KeyEntry]
    """By digest; see secrets.digests."""
    aliases: Mapping[str, AliasEntry] = field(default_factory=lambda: MappingProxyType({}))
    """By name, patterns too."""
    patterns: tuple[Pattern, ...] = field(init=False)
    """Those of the aliases' names that are patterns, in the order they are tried in."""
    cards: Mapping[str, Card] = field(init=False)
    """What GET /v1/models lists: aliases that are no patterns, then pooled ids, then public ids,
    each in order."""

    @property
    def is_loaded(self) -> bool:
        return self.revision >= 0

    def with_keys(self, keys: Mapping[str, KeyEntry]) -> Snapshot:
        """The same with other keys. It costs the same however many providers there are."""
        twin = copy.copy(self)
        object.__setattr__(twin, "keys", keys)
        return twin

    def rank(self, id: str) -> tuple[int, str]:
        """Where `id` stands among the listed ones, whether it is listed or not."""
        if id in self.aliases:
            return 0, id
        name, slash, model = id.partition("/")
        provider = self.providers.get(name) if slash else None
        is_pooled = provider is None or (id in self.cards and model not in provider.models)
        return (1 if is_pooled else 2), id

    def __post_init__(self) -> None:
        object.__setattr__(self, "patterns", compiled(self.aliases))
        cards = {alias: card for alias, card in self._alias_cards() if card}
        cards |= dict(sorted(self._pooled_cards()))
        cards |= dict(sorted(self._provider_cards()))
        object.__setattr__(self, "cards", MappingProxyType(cards))

    def _alias_cards(self) -> Iterator[tuple[str, Card | None]]:
        for name, alias in sorted(self.aliases.items()):
            if not is_pattern(name):
                yield name, alias_card(name, alias, self.providers)

    def _pooled_cards(self) -> Iterator[tuple[str, Card]]:
        """By the ids that the servers know their models by; but for an id that, alone, means an
        alias or another server's model."""
        types = {provider.type for provider in self.providers.values()}
        seen = set(self.aliases)
        for provider in self.providers.values():
            for model, card in provider.models.items():
                if model not in seen and not self._means_another(model, types):
                    yield model, {**card, "id": model, "object": "model", "owned_by": provider.type}
                seen.add(model)

    def _means_another(self, model: str, types: Set[str]) -> bool:
        """Whether `model`, as a selector, is read as `<provider>/<id>` or `<type>/<id>`."""
        prefix, slash, rest = model.partition("/")
        if not slash or not (prefix in self.providers or prefix in types):
            return False
        return any(
            rest in provider.models and prefix in {provider.name, provider.type}
            for provider in self.providers.values()
        )

    def _provider_cards(self) -> Iterator[tuple[str, Card]]:
        for provider in self.providers.values():
            for model, card in provider.models.items():
                id = public_id(provider.name, model)
                if id not in self.aliases:
                    yield id, public_card(provider, model, card)


NOT_LOADED = Snapshot(-1, MappingProxyType({}), MappingProxyType({}))
"""What is known before the database has been read: nothing."""


def is_model_id(value: object) -> bool:
    """Whether clients could ask for a model of this id, and a page or log line show it."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MOST_ID_CHARACTERS
        and value.isprintable()
        and value.strip() == value
    )


def public_id(provider: str, model: str) -> str:
    return f"{provider}/{model}"


def public_card(provider: ProviderEntry, model: str, card: Card) -> Card:
    """The card as clients see it: the server's own, under the public id, owned by the provider."""
    shown = {"id": public_id(provider.name, model), "object": "model", "owned_by": provider.name}
    return {**card, **shown}


def served(
    target: TargetEntry, providers: Mapping[str, ProviderEntry]
) -> tuple[ProviderEntry, ...]:
    """The providers that serve `target`, in the order of their names, draining ones too.

    A look-up if it names one; otherwise one for each provider.
    """
    if target.provider:
        named = providers.get(target.provider)
        return (named,) if named is not None and target.model in named.models else ()
    return tuple(entry for entry in providers.values() if target.model in entry.models)


def alias_card(id: str, alias: AliasEntry, providers: Mapping[str, ProviderEntry]) -> Card | None:
    """The card of the first target that is served, the heaviest of its tier first, under `id`;
    None if none is."""
    for tier in alias.tiers:
        for target in sorted(tier, key=lambda each: -each.weight):
            if entries := served(target, providers):
                card = entries[0].models[target.model]
                return {**card, "id": id, "object": "model", "owned_by": "aurora"}
    return None
