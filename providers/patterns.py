"""Aliases whose names hold `*`: any run of characters, also none, also slashes. Pure.

A name is matched by its literal parts from left to right, without regular expressions: nothing
backtracks, whatever a client asks for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

WILDCARD = "*"
MOST_WILDCARDS = 3
"""Of one name."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """The literal parts of `name`, between its wildcards."""

    name: str
    prefix: str
    middles: tuple[str, ...]
    suffix: str

    @classmethod
    def of(cls, name: str) -> Pattern:
        prefix, *middles, suffix = name.split(WILDCARD)
        return cls(name, prefix, tuple(part for part in middles if part), suffix)

    def matches(self, text: str) -> bool:
        at, end = len(self.prefix), len(text) - len(self.suffix)
        if at > end or not (text.startswith(self.prefix) and text.endswith(self.suffix)):
            return False
        for part in self.middles:
            at = text.find(part, at, end)
            if at < 0:
                return False
            at += len(part)
        return True


def is_pattern(name: str) -> bool:
    return WILDCARD in name


def compiled(names: Iterable[str]) -> tuple[Pattern, ...]:
    """The patterns among `names`, in the order they are tried in: those with the most literal
    characters first, of these the ones with the fewest wildcards, then by name."""
    return tuple(map(Pattern.of, sorted(filter(is_pattern, names), key=_rank)))


def _rank(name: str) -> tuple[int, int, str]:
    wildcards = name.count(WILDCARD)
    return wildcards - len(name), wildcards, name


def matching(text: str, patterns: Iterable[Pattern]) -> str | None:
    """The name of the first of `patterns` that matches `text`."""
    return next((pattern.name for pattern in patterns if pattern.matches(text)), None)
