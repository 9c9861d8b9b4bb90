"""What tells one state of a row from another: a digest of all that an operator may change of it.

It needs no column, so it is right whichever release wrote the row.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from django.db.models import Model

from providers.models import Alias, ApiKey, Provider

CHARACTERS = 32
_LEFT_OUT: dict[type[Model], set[str]] = {
    Provider: {"created", "field_sources", "unnamed"},
    Alias: {"created"},
    ApiKey: {"created", "last_used", "unnamed"},
}
"""What changes by itself, or says nothing of how the row behaves."""


def version(row: Provider | Alias | ApiKey) -> str:
    """Of a row as it was read, sealed key included. One query for an alias's targets, unless they
    were read with it."""
    left_out = _LEFT_OUT[type(row)]
    values: dict[str, Any] = {
        column.attname: column.to_python(getattr(row, column.attname))
        for column in row._meta.concrete_fields
        if column.name not in left_out
    }
    if isinstance(row, Alias):
        values["targets"] = sorted(
            (each.tier, each.provider, each.model, each.weight) for each in row.targets.all()
        )
    return digest(values)


def digest(values: Any) -> str:
    """Of anything that JSON can say."""
    encoded = msgspec.json.encode(values, order="sorted", enc_hook=str)
    return hashlib.sha256(encoded).hexdigest()[:CHARACTERS]
