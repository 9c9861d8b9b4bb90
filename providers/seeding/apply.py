"""Wanted providers -> rows. Rows that came from env or YAML follow; all others are left alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError

from providers import addresses
from providers.models import Provider, Source
from providers.secrets import Unopenable
from providers.seeding.wanted import SeedError, Wanted

ORIGINS = {"env": "the environment", "yaml": "the YAML file"}


def apply(wanted: Iterable[Wanted]) -> list[str]:
    """Make the rows be as wanted; what was done, one sentence each. A row that fits is not written.

    Must run in a transaction, which the caller ends. Raises SeedError, with every problem.
    """
    rows = {row.name: row for row in Provider.objects.select_for_update()}
    done: list[str] = []
    problems: list[str] = []
    for one in wanted:
        row = rows.pop(one.name, None)
        try:
            done.extend(_adopted(one, row))
        except ValidationError as error:
            problems.extend(_worded(one, error))
    if problems:
        raise SeedError("\n".join(problems))
    return [*done, *_removed(rows.values())]


def _follows(row: Provider) -> bool:
    return row.source != Source.ADMIN and row.detached is None


def _adopted(wanted: Wanted, row: Provider | None) -> list[str]:
    origin = ORIGINS[wanted.source]
    if row is None:
        _changed(Provider(name=wanted.name), wanted)
        return [f"provider {wanted.name}: added from {origin}"]
    if row.source == Source.ADMIN:
        return [f"provider {row.name}: made in the admin, so {origin} does not change it"]
    if not _follows(row):
        return [f"provider {row.name}: edited in the admin, so {origin} no longer changes it"]
    changed = _changed(row, wanted)
    return [f"provider {row.name}: {', '.join(changed)} changed with {origin}"] if changed else []


def _changed(row: Provider, wanted: Wanted) -> list[str]:
    """Save what differs, if anything does; the names of those fields."""
    changed = [name for name, value in _values(wanted).items() if _held(row, name) != value]
    for name in changed:
        setattr(row, name, _values(wanted)[name])
    if changed:
        row.full_clean()
        row.save()
    return changed


def _values(wanted: Wanted) -> dict[str, Any]:
    return {
        "type": wanted.type,
        "base_url": addresses.normalised(wanted.base_url),
        "api_key": wanted.api_key,
        "model_ids": list(wanted.models),
        "models_mode": wanted.mode,
        "enabled": wanted.enabled,
        "passthrough": wanted.passthrough,
        "translation": wanted.translation,
        "weight": wanted.weight,
        "max_concurrency": wanted.max_concurrency,
        "draining": wanted.draining,
        "repeats_after_timeout": wanted.repeats_after_timeout,
        "connect_seconds": wanted.connect_seconds,
        "first_byte_seconds": wanted.first_byte_seconds,
        "idle_seconds": wanted.idle_seconds,
        "source": wanted.source,
    }


def _held(row: Provider, name: str) -> Any:
    """A field's value, or None for a key that the keyring does not open: it is sealed anew."""
    try:
        return getattr(row, name)
    except Unopenable:
        return None


def _removed(rows: Iterable[Provider]) -> list[str]:
    gone = [row for row in rows if _follows(row)]
    for row in gone:
        row.delete()
    return [
        f"provider {row.name}: removed, since neither environment nor YAML file names it"
        for row in gone
    ]


def _worded(wanted: Wanted, error: ValidationError) -> list[str]:
    return [
        f"provider {wanted.name}, from {ORIGINS[wanted.source]}: {name}: {message}"
        for name, messages in error.message_dict.items()
        for message in messages
    ]
