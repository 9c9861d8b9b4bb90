"""Forms that others may overtake: each carries what it showed, and so tells what its user changed.

What somebody else has changed since, and this form has not touched, stays as that one left it. What
both have changed is an error that shows both values; sent again, the form replaces the other's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import msgspec
from django import forms
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model
from django.http import QueryDict
from django.utils.functional import cached_property

FIELD = "version"
MOST_CHARACTERS = 2**20
"""Of what a form showed, as JSON."""
MOST_SHOWN_CHARACTERS = 200


class Versioned(forms.ModelForm):
    """Put before the form of a row that is there, which may have `writes_only`: by the name of a
    field that shows nothing, the column that it writes; and `shown_beside()`: what else its page
    shows, in JSON, for whoever judges that. A form sent without its version, such as by
    a program, means all of its fields."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.fields[FIELD] = forms.CharField(
                required=False, max_length=MOST_CHARACTERS, widget=forms.HiddenInput
            )
            self.initial[FIELD] = msgspec.json.encode(self._current()).decode()

    @property
    def _unseen(self) -> Mapping[str, str]:
        return cast(Mapping[str, str], getattr(self, "writes_only", {}))

    @cached_property
    def changed_data(self) -> list[str]:
        """What the user has changed of what the form showed, unless it is so already."""
        names = [name for name in super().changed_data if name != FIELD]
        return [name for name in names if self._is_touched(name)]

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or self.cleaned_data
        conflicts = []
        for name in self._overtaken():
            if name in self.changed_data or (name in self._unseen and cleaned.get(name)):
                conflicts.append(name)
            else:  # as it is now, whatever this form still holds
                cleaned.pop(name, None)
                self.errors.pop(name, None)
        typed = {name: cleaned.get(name) for name in conflicts if name in self._unseen}
        for name in conflicts:
            self.add_error(name, self._conflict(name))
        cleaned.update(typed)  # no page shows it again, so whoever keeps it must find it
        if conflicts:
            self._show_anew(conflicts)
        return cleaned

    def _overtaken(self) -> Iterator[str]:
        """The fields that somebody else has changed since the form was shown."""
        current, shown = self._current(), self._shown
        for name in self.fields:
            column = self._unseen.get(name, name)
            if column in current and column in shown and current[column] != shown[column]:
                yield name

    def _is_touched(self, name: str) -> bool:
        if name in self._unseen or name not in self._shown:
            return True
        field = self.fields[name]
        return field.has_changed(self._as_shown(name), self[name].data)

    def _as_shown(self, name: str) -> Any:
        value = self._shown[name]
        column = _column(self.instance, name)
        return value if column is None or isinstance(value, list) else column.to_python(value)

    @cached_property
    def _shown(self) -> dict[str, Any]:
        """What the form showed, by field. Nothing where it was sent without, or with something else."""
        sent = self.data.get(self.add_prefix(FIELD), "") if self.is_bound else ""
        try:
            found = msgspec.json.decode(sent, type=dict[str, Any]) if sent else {}
        except msgspec.MsgspecError:
            return {}
        known = self._current().keys()
        return {name: value for name, value in found.items() if name in known}

    def _current(self) -> dict[str, Any]:
        """The row as it is now, field by field, as it stands in JSON."""
        values = {
            name: self.get_initial_for_field(field, name)
            for name, field in self.fields.items()
            if not field.disabled and _column(self.instance, name) is not None
        }
        beside: dict[str, Any] = getattr(self, "shown_beside", dict)()
        hidden = beside | {column: _digest(value) for column, value in self._stored.items()}
        encoded = msgspec.json.encode(values | hidden, enc_hook=_plain)
        return cast(dict[str, Any], msgspec.json.decode(encoded))

    @cached_property
    def _stored(self) -> dict[str, Any]:
        """The columns that no field shows, before anything is put on the row."""
        return {column: getattr(self.instance, column) for column in self._unseen.values()}

    def _conflict(self, name: str) -> ValidationError:
        again = "Save again to replace it with yours."
        if name in self._unseen:
            text = f"Somebody else has changed this since this page was opened. {again}"
        else:
            theirs = self._worded(name, self.initial.get(name))
            yours = self._worded(name, self.cleaned_data.get(name, self[name].data))
            text = (
                f"Somebody else has changed this to {theirs} since this page was opened; yours is"
                f" {yours}. {again}"
            )
        return ValidationError(text, code="conflict")

    def _worded(self, name: str, value: Any) -> str:
        if isinstance(value, bool):
            return "on" if value else "off"
        if value is None or value in ("", []):
            return "empty"
        if hasattr(value, "__iter__") and not isinstance(value, str):
            value = ", ".join(map(str, value))
        text = str(value)
        more = "…" if len(text) > MOST_SHOWN_CHARACTERS else ""
        return f"“{text[:MOST_SHOWN_CHARACTERS]}{more}”"

    def _show_anew(self, conflicts: list[str]) -> None:
        """Both values are on the page now: sent once more, the form knows what it replaces."""
        current = self._current()
        columns = {self._unseen.get(name, name) for name in conflicts}
        shown = self._shown | {column: current[column] for column in columns}
        data = cast(QueryDict, self.data).copy()
        data[self.add_prefix(FIELD)] = msgspec.json.encode(shown).decode()
        self.data = data


def shown_beside(data: Mapping[str, Any], name: str) -> Any:
    """What the form sent as `data` showed beside its fields; None where it does not say."""
    try:
        found = msgspec.json.decode(data.get(FIELD) or "{}", type=dict[str, Any])
    except msgspec.MsgspecError:
        return None
    return found.get(name)


def versioned(form: type[forms.ModelForm]) -> type[forms.ModelForm]:
    """`form`, for a row that others may change while somebody has it open."""
    if issubclass(form, Versioned):
        return form
    metaclass: Any = type(form)
    return cast(type[forms.ModelForm], metaclass(form.__name__, (Versioned, form), {}))


def _column(row: Model, name: str) -> Any:
    try:
        found = row._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    return found if hasattr(found, "to_python") else None


def _plain(value: Any) -> Any:
    return value.pk if isinstance(value, Model) else str(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(str(value).encode()).hexdigest()[:32]
