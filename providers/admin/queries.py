"""What of an address's query a page of the admin takes: known names, each once, with sound values.

Everything else is left out before Django sees it, so that nobody looks for what no page shows, and
no value is an error. No I/O.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from django.contrib.admin import SimpleListFilter
from django.contrib.admin.options import IS_FACETS_VAR, IS_POPUP_VAR, TO_FIELD_VAR
from django.contrib.admin.utils import get_fields_from_path
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, ORDER_VAR, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import ValidationError
from django.db.models import DateField, Field, Model
from django.http import QueryDict

MOST_SEARCH_CHARACTERS = 200
MOST_SEARCH_WORDS = 10
"""Each word is looked for in each column that is searched."""
MOST_VALUE_CHARACTERS = 200
MOST_KEPT_CHARACTERS = 2000
"""Of the query of a list that a row's page leads back to."""
KEPT_FILTERS = "_changelist_filters"
DATE_PARTS = ("year", "month", "day")
FIRST_YEAR, LAST_YEAR = 1900, 9000
_PAGE = re.compile(r"[1-9][0-9]{0,5}")
_ORDER = re.compile(r"-?[0-9]{1,2}(?:\.-?[0-9]{1,2}){0,9}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

Sound = Callable[[str], bool]
"""Whether a page takes this value."""


def taken(query: QueryDict, takes: Mapping[str, Sound]) -> QueryDict:
    """Of `query` the parameters of `takes` with a sound value; the last where one stands twice."""
    sound = QueryDict(mutable=True)
    for name in query:
        value, is_sound = query[name], takes.get(name)
        if is_sound and isinstance(value, str) and is_sound(value):
            sound[name] = value
    sound._mutable = False
    return sound


def of_row(model: type[Model]) -> dict[str, Sound]:
    """What the pages of one row take."""
    return {
        IS_POPUP_VAR: is_flag,
        TO_FIELD_VAR: lambda value: value == model._meta.pk.name,
        KEPT_FILTERS: lambda value: _is_text(value, MOST_KEPT_CHARACTERS),
        PAGE_VAR: _is_page,
    }


def of_list(model: type[Model], list_filter: Sequence[Any], day: str | None) -> dict[str, Sound]:
    """What a list takes: its filters, the parts of the date `day`, search, order and pages."""
    return {
        **{name: _converts(field) for name, field in filters(model, list_filter).items()},
        **dict.fromkeys(parts_of(day), _is_number),
        **dict.fromkeys((IS_POPUP_VAR, IS_FACETS_VAR, ALL_VAR, ERROR_FLAG), is_flag),
        TO_FIELD_VAR: lambda value: value == model._meta.pk.name,
        SEARCH_VAR: lambda value: not _CONTROL.search(value),  # bounded where it is looked for
        ORDER_VAR: lambda value: bool(_ORDER.fullmatch(value)),
        PAGE_VAR: _is_page,
    }


def parts_of(day: str | None) -> list[str]:
    """The parameters by which a list leads through the years, months and days of the date `day`."""
    return [f"{day}__{part}" for part in DATE_PARTS] if day else []


def filters(model: type[Model], list_filter: Sequence[Any]) -> dict[str, Field[Any, Any] | None]:
    """The parameters of a list's filters, each with the field whose values it takes; None: words of
    the filter's own."""
    found: dict[str, Field[Any, Any] | None] = {}
    for each in list_filter:
        if isinstance(each, type) and issubclass(each, SimpleListFilter):
            found[str(each.parameter_name)] = None
        else:
            found |= _of_field(model, each[0] if isinstance(each, tuple | list) else each)
    return found


def _of_field(model: type[Model], path: str) -> dict[str, Field[Any, Any] | None]:
    """What Django's filters of fields are called by: no look-up that a caller could choose."""
    field = get_fields_from_path(model, path)[-1]
    if field.remote_field:
        target: Field[Any, Any] = field.target_field  # type: ignore[attr-defined] # of relations
        found: dict[str, Field[Any, Any] | None] = {f"{path}__{target.name}__exact": target}
    elif isinstance(field, DateField):
        found = {f"{path}__gte": field, f"{path}__lt": field}
    else:
        found = {f"{path}__exact": field}
    is_optional = field.null or field.many_to_many
    return {**found, f"{path}__isnull": None} if is_optional else found


def is_a_day(query: Mapping[str, Any], name: str) -> bool:
    """Whether the parts of the date `name` in `query` make one, or there are none."""
    parts = [query.get(each) for each in parts_of(name)]
    year, month, day = (int(part) if part else None for part in parts)
    if year is None or (day is not None and month is None):
        return parts == [None, None, None]
    try:
        date(year, month or 1, day or 1)
    except ValueError:
        return False
    return FIRST_YEAR <= year <= LAST_YEAR


def may_be_searched(text: str) -> bool:
    """Whether the database is asked for it."""
    words = len(text.split())
    return _is_text(text, MOST_SEARCH_CHARACTERS) and words <= MOST_SEARCH_WORDS


def _converts(field: Field[Any, Any] | None) -> Sound:
    return lambda value: _is_text(value) and (field is None or is_value_of(field, value))


def is_value_of(field: Field[Any, Any], value: str) -> bool:
    """Whether the column could hold it."""
    try:
        field.clean(value, None)
    except (ValidationError, ValueError, OverflowError):
        return False
    return True


def _is_text(value: str, most_characters: int = MOST_VALUE_CHARACTERS) -> bool:
    return len(value) <= most_characters and not _CONTROL.search(value)


def is_flag(value: str) -> bool:
    return _is_text(value)


def _is_number(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) <= 4


def _is_page(value: str) -> bool:
    return bool(_PAGE.fullmatch(value))
