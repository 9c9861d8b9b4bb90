"""Snapshots made by hand, and by hypothesis: names, types and ids that like to collide."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from providers.addresses import Address
from providers.snapshot import AliasEntry, KeyEntry, ProviderEntry, Snapshot, TargetEntry

NAMES = ("vllm", "vllm-test", "a", "b", "a.b")
TYPES = ("vllm", "a", "other")
MODELS = (
    "X",
    "meta-llama/X",
    "vllm/foo",
    "foo",
    "a/X",
    "b/a/X",
    "vllm/meta-llama/X",
    "/",
    "a/",
    "/X",
)


def provider(name: str, *models: str, type: str = "vllm", **fields: Any) -> ProviderEntry:
    return ProviderEntry(
        id=uuid.uuid5(uuid.NAMESPACE_DNS, name),
        name=name,
        type=type,
        address=Address(f"http://{name}:8000"),
        authorization=None,
        models=MappingProxyType({model: {"id": model} for model in models}),
        **fields,
    )


def snapshot(
    *providers: ProviderEntry,
    keys: Mapping[str, KeyEntry] | Iterable[tuple[str, KeyEntry]] = (),
    aliases: Iterable[AliasEntry] = (),
) -> Snapshot:
    by_name = {entry.name: entry for entry in sorted(providers, key=lambda entry: entry.name)}
    return Snapshot(
        1,
        MappingProxyType(by_name),
        MappingProxyType(dict(keys)),
        MappingProxyType({entry.name: entry for entry in aliases}),
    )


def alias(name: str, *tiers: Iterable[str | TargetEntry], **settings: Any) -> AliasEntry:
    """A target is written as a model that is taken anywhere, or as `provider:model`."""
    return AliasEntry(name, tuple(tuple(map(_target, tier)) for tier in tiers), **settings)


def _target(written: str | TargetEntry) -> TargetEntry:
    if isinstance(written, TargetEntry):
        return written
    named, _, model = written.rpartition(":")
    return TargetEntry(named, model)


model_ids = st.sampled_from(MODELS) | st.text(min_size=1, max_size=12)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4))
    return snapshot(
        *(
            provider(
                name,
                *draw(st.lists(model_ids, unique=True, max_size=4)),
                type=draw(st.sampled_from(TYPES)),
            )
            for name in names
        )
    )


selectors = (
    st.builds("{}/{}".format, st.sampled_from((*NAMES, *TYPES)), model_ids)
    | model_ids
    | st.text(max_size=12)
)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Snapshot, str]:
    """A snapshot, and a selector that mostly means something in it."""
    known = draw(snapshots())
    served = [(entry, model) for entry in known.providers.values() for model in entry.models]
    meant = [
        text
        for entry, model in served
        for text in (f"{entry.name}/{model}", f"{entry.type}/{model}", model)
    ]
    return known, draw(st.sampled_from(meant) | selectors if meant else selectors)
