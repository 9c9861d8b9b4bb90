"""Names for providers that nobody has named. Pure."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from itertools import count

MOST_NAME_CHARACTERS = 63


def free(wanted: Iterable[str], taken: Container[str]) -> str:
    """The first of `wanted` that is not taken; if all are, the first with a number behind it."""
    candidates = list(wanted)
    return next(name for name in _tried(candidates) if name not in taken)


def of_copy(name: str, taken: Container[str]) -> str:
    """What a copy of the provider `name` is called."""
    return free([_with_suffix(name, "-copy")], taken)


def _tried(candidates: list[str]) -> Iterator[str]:
    yield from candidates
    for number in count(2):
        yield _with_suffix(candidates[0], f"-{number}")


def _with_suffix(name: str, suffix: str) -> str:
    return name[: MOST_NAME_CHARACTERS - len(suffix)] + suffix
