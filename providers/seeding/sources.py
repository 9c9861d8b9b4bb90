"""Which source said what of a row, and what stays where a source says nothing any more.

A process that was started without the variables, or without the YAML file, takes nothing from the
others: what a source once said of a provider stays until that source names the provider again, until
somebody deletes the provider in the admin, or until `seed --prune`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from django.utils import timezone

from providers.models import Provider, Source
from providers.secrets import Unopenable
from providers.seeding.wanted import Wanted

ORIGINS = {Source.ENV: "the environment", Source.YAML: "the YAML file"}
MEMBERS = tuple(
    field.name
    for field in fields(Wanted)
    if field.name not in {"name", "source", "place", "said_by"}
)
_COLUMNS = {"models": "model_ids"}


def with_kept(wanted: Wanted, row: Provider) -> Wanted:
    """`wanted`, and what was said of the row by a source that does not name it now.

    The environment goes before the YAML file, also where it is the one that is silent.
    """
    said_by = dict(wanted.said_by)
    values: dict[str, Any] = {}
    for member, source in said_of(row).items():
        if source in wanted.named_by or (member in said_by and source != Source.ENV):
            continue
        try:
            values[member] = _held(row, member)
        except Unopenable:  # nobody has it any more
            continue
        said_by[member] = source
    of_env = "env" in said_by.values()
    both = replace(wanted, source="env" if of_env else wanted.source, said_by=said_by, **values)
    if "api_key" in values:
        return both.without_strange_key(row.base_url)
    has_both = {"api_key", "base_url"} <= wanted.said_by.keys()
    return both.without_strange_key(wanted.base_url) if has_both else both


def said_of(row: Provider) -> dict[str, str]:
    """Who said each member of the row. Where nobody noted it: its source said all of them."""
    return row.field_sources or dict.fromkeys(MEMBERS, row.source)


def _held(row: Provider, member: str) -> Any:
    value = getattr(row, _COLUMNS.get(member, member))
    return tuple(value) if member == "models" else value


def note(row: Provider, said_by: dict[str, str], silent: set[str]) -> None:
    """Keep who said what, and which of them are silent now, since when. It changes no provider, so
    neither the history nor the other processes hear of it."""
    since = timezone.now().isoformat(timespec="seconds")
    unnamed = {source: row.unnamed.get(source, since) for source in sorted(silent)}
    if (said_by, unnamed) == (row.field_sources, row.unnamed):
        return
    row.field_sources, row.unnamed = said_by, unnamed
    Provider.objects.filter(pk=row.pk).update(field_sources=said_by, unnamed=unnamed)


def worded(sources: set[str]) -> str:
    """ "the environment and the YAML file"."""
    return " and ".join(ORIGINS[Source(source)] for source in sorted(sources))
