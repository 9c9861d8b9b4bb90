"""An entry of the history as rows of a table: field, before, after."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from auditlog.models import LogEntry
from django.core.exceptions import FieldDoesNotExist
from django.db.models import DateTimeField, Field, JSONField, Model

HIDDEN = {"id"}
LABELS = {"sealed_api_key": "API key"}
SET = "(set)"


@dataclass(frozen=True, slots=True)
class Change:
    """One field's change, as text. Empty: there was no value."""

    field: str
    before: str
    after: str


def of(entry: LogEntry) -> list[Change]:
    """The changes that `entry` records, in the order of the model's fields."""
    model = entry.content_type.model_class()
    recorded = entry.changes_dict or {}
    return list(_changes(model, recorded))


def summary(entry: LogEntry) -> str:
    """The names of the fields that changed; empty for what was made or deleted."""
    if entry.action != LogEntry.Action.UPDATE:
        return ""
    return ", ".join(change.field for change in of(entry))


def _changes(model: type[Model] | None, recorded: dict[str, Any]) -> Iterator[Change]:
    order = [field.name for field in model._meta.fields] if model else []
    for name in sorted(recorded, key=lambda n: order.index(n) if n in order else len(order)):
        field, values = _field(model, name), _two(recorded[name])
        if name in HIDDEN or not isinstance(values, list) or len(values) != 2:
            continue
        before, after = (_text(field, value) for value in values)
        if before == after == SET:
            after = "(another)"
        if before or after:
            yield Change(_label(field, name), before, after)


def _two(values: Any) -> Any:
    """Before and after. What was added to or taken from a list of others stands on its side."""
    if not isinstance(values, dict) or values.get("type") != "m2m":
        return values
    names = ", ".join(map(str, values.get("objects", [])))
    return [names, ""] if values.get("operation") == "delete" else ["", names]


def _field(model: type[Model] | None, name: str) -> Field[Any, Any] | None:
    try:
        found = model._meta.get_field(name) if model else None
    except FieldDoesNotExist:
        return None
    return found if isinstance(found, Field) else None


def _label(field: Field[Any, Any] | None, name: str) -> str:
    return LABELS.get(name) or str(getattr(field, "verbose_name", name))


def _text(field: Field[Any, Any] | None, value: Any) -> str:
    text = "" if value in (None, "None", "(none)", "[]") else str(value)
    if isinstance(field, JSONField) and text:
        return _listed(text)
    if isinstance(field, DateTimeField) and text:
        return f"{text[:19]} UTC"
    return {"True": "yes", "False": "no"}.get(text, text)


def _listed(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return ", ".join(map(str, value)) if isinstance(value, list) else text
