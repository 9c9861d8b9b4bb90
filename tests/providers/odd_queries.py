"""Odd queries of a page: every field with every look-up, and values that no page asks for. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import cycle, islice
from urllib.parse import urlencode

from django.db.models import Model

LOOKUPS = (
    "",
    *("exact", "iexact", "contains", "icontains", "startswith", "istartswith", "endswith"),
    *("iendswith", "regex", "iregex", "in", "gt", "gte", "lt", "lte", "range", "isnull"),
    *("date", "year", "month", "day", "week_day", "hour", "time", "search", "length", "isempty"),
    *("contained_by", "has_key", "overlap", "trigram_similar", "unaccent", "nonsense", "x__y"),
)
HOSTILE = "([0-9a-f]+)+x"
"""A pattern that Python's `re` needs an age for."""
VALUES = (
    *("", " ", "0", "-1", "1", "true", "None", "null", "[]", "{}", "a", "%", "_", "'", '"', "\\"),
    *("\x00", "a\x00b", "\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "\u202e"),
    *("9" * 30, "-" + "9" * 30, "9" * 5000, "1e400", "NaN", "Infinity", "0x10", "٣", "1_000"),
    *("2026-13-45", "0000-00-00", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "now"),
    *("00000000-0000-0000-0000-00000000000", "g" * 32, "{" + "0" * 32 + "}", "x" * 20_000),
    *(HOSTILE, ",".join(map(str, range(3000))), "a " * 3000, '"' * 3000, "'a\" " * 500),
)
KNOWN = (
    *("q", "p", "e", "o", "all", "_popup", "_to_field", "_facets", "_changelist_filters"),
    *("page", "s", "extended", "next", "term", "app_label", "model_name", "field_name", "format"),
    *("ids", "known", "servers", "limit", "offset", "model", "lang", "version", "cursor"),
)
"""Parameters that some page or other takes."""


def names(model: type[Model], deep: int = 1) -> Iterator[str]:
    """The paths of a model's fields, and of those that its relations lead to."""
    for field in model._meta.get_fields():
        yield field.name
        yield getattr(field, "attname", field.name)
        if field.related_model and deep and isinstance(field.related_model, type):
            yield from (f"{field.name}__{name}" for name in names(field.related_model, deep - 1))
    yield from ("pk", "nonsense", "__", "_", "self__self", "__class__")


def of_fields(model: type[Model], *, at_once: int, but: Container[str]) -> list[str]:
    """Every field with every look-up that is not in `but`, `at_once` parameters in each query."""
    looked_up = (f"{path}__{each}".removesuffix("__") for path in names(model) for each in LOOKUPS)
    found = [name for name in dict.fromkeys(looked_up) if name not in but]
    return _together(zip(found, cycle(VALUES), strict=False), at_once)


def of_known(*more: str, at_once: int, alone: Iterable[str] = ()) -> list[str]:
    """The parameters that pages take, and `more`, with every odd value, and all of them twice; the
    parameters `alone` by themselves, too."""
    names = (*KNOWN, *more)
    pairs = [
        (name, VALUES[(i + j) % len(VALUES)])
        for i in range(len(VALUES))
        for j, name in enumerate(names)
    ]
    return [
        *(urlencode({name: value}) for name in alone for value in VALUES),
        *_together(pairs, at_once),
        *_together([(name, value) for name in names for value in ("1", "x")], 2 * at_once),
    ]


def _together(pairs: Iterable[tuple[str, str]], at_once: int) -> list[str]:
    rest = iter(pairs)
    return list(map(urlencode, iter(lambda: list(islice(rest, at_once)), [])))


def malformed() -> list[str]:
    """Queries that are hardly any."""
    return [
        "%",
        "%zz=%00",
        "=",
        "&&&",
        "q=%ff%fe",
        "p=1;2",
        "q[]=1",
        "a" * 3000,
        "&".join("x" * 900),
    ]
