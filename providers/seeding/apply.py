"""Wanted providers -> rows. Rows that came from env or YAML follow; all others are left alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError

from providers import addresses
from providers.models import Provider, Source
from providers.secrets import Unopenable
from providers.seeding import sources
from providers.seeding.sources import ORIGINS
from providers.seeding.wanted import SeedError, Wanted
from providers.transactions import locked

COLUMNS = {"api_key": "sealed_api_key"}


def apply(wanted: Iterable[Wanted], *, prune: bool = False) -> list[str]:
    """Make the rows be as wanted; what was done, one sentence each. A row that fits is not written.

    What no source says any more stays and is told, or goes where `prune` says so. Must run in a
    transaction, which the caller ends. Raises SeedError, with every problem.
    """
    rows = _by_name(locked(Provider.objects.all()))
    done: list[str] = []
    problems: list[str] = []
    for one in wanted:
        row = rows.pop(one.name, None)
        try:
            done.extend(_adopted(one, row, prune))
        except ValidationError as error:
            problems.extend(_worded(one, error))
    if problems:
        raise SeedError("\n".join(problems))
    left = [row for name, row in rows.items() if name == row.seeded_name and _follows(row)]
    return [*done, *(_removed(left) if prune else _kept(left))]


def _by_name(held: Iterable[Provider]) -> dict[str, Provider]:
    """The rows by what sources call them, so that one that was renamed is not made again. Another row
    that has a name which no source's row goes by has it here, too."""
    rows = list(held)
    seeded = {row.seeded_name: row for row in rows if row.seeded_name}
    return {row.name: row for row in rows} | seeded


def _follows(row: Provider) -> bool:
    return row.source != Source.ADMIN and row.detached is None


def _adopted(wanted: Wanted, row: Provider | None, prune: bool) -> list[str]:
    origin = ORIGINS[Source(wanted.source)]
    if row is None:
        said_by = dict(wanted.said_by)
        new = Provider(name=wanted.name, seeded_as=wanted.name, field_sources=said_by)
        _changed(new, wanted)
        return [f"provider {wanted.name}: added from {origin}"]
    if row.seeded_name not in {"", wanted.name}:
        return [
            f"provider {row.name}: got this name in the admin, so the {wanted.name} of {origin} is not"
            " added"
        ]
    if row.source == Source.ADMIN:
        return [f"provider {row.name}: made in the admin, so {origin} does not change it"]
    if not _follows(row):
        called = f", there {wanted.name}" if row.name != wanted.name else ""
        return [
            f"provider {row.name}{called}: edited in the admin, so {origin} no longer changes it"
        ]
    return _followed(wanted if prune else sources.with_kept(wanted, row), row, wanted.named_by)


def _followed(wanted: Wanted, row: Provider, named_by: frozenset[str]) -> list[str]:
    """`wanted` has what was kept, too; `named_by` are the sources that are not silent."""
    changed = _changed(row, wanted)
    silent = {*wanted.said_by.values()} - named_by
    sources.note(row, dict(wanted.said_by), silent)
    origin = ORIGINS[Source(wanted.source)]
    done = [f"provider {row.name}: {', '.join(changed)} changed with {origin}"] if changed else []
    if silent:
        kept = sorted(member for member, source in wanted.said_by.items() if source in silent)
        done.append(
            f"provider {row.name}: no longer named by {sources.worded(silent)}, whose"
            f" {', '.join(kept)} it keeps; `manage.py seed --prune` ends that"
        )
    return done


def _changed(row: Provider, wanted: Wanted) -> list[str]:
    """Save what differs, if anything does; the names of those fields."""
    changed = [name for name, value in _values(wanted).items() if _held(row, name) != value]
    for name in changed:
        setattr(row, name, _values(wanted)[name])
    if row._state.adding:
        # Each constraint would be a question to the database, which asks itself as the row is saved,
        # and what they say is said by the fields' validators too. Of that name there is no other row.
        row.full_clean(validate_unique=False, validate_constraints=False)
        row.save()
    elif changed:
        # Each constraint would be a question to the database, which asks itself as the row is saved,
        # and what they say is said by the fields' validators too. Of that name there is no other row.
        row.full_clean(validate_unique=False, validate_constraints=False)
        row.save(update_fields=[COLUMNS.get(name, name) for name in changed])
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


def _kept(rows: Iterable[Provider]) -> list[str]:
    done = []
    for row in rows:
        named_before = {*sources.said_of(row).values()}
        sources.note(row, row.field_sources, named_before)
        done.append(
            f"provider {row.name}: no longer named by {sources.worded(named_before)}; it stays until"
            " it is deleted in the admin, or by `manage.py seed --prune`"
        )
    return done


def _removed(rows: Iterable[Provider]) -> list[str]:
    done = []
    chosen = Provider.objects.filter(pk__in=[row.pk for row in rows])
    for row in locked(chosen, to_delete=True):
        row.delete()
        done.append(
            f"provider {row.name}: removed, since neither environment nor YAML file names it"
        )
    return done


def _worded(wanted: Wanted, error: ValidationError) -> list[str]:
    return [
        f"provider {wanted.name}, from {ORIGINS[Source(wanted.source)]}: {name}: {message}"
        for name, messages in error.message_dict.items()
        for message in messages
    ]
