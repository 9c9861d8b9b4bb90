"""What servers turned out to lack, as their refusals said. Pure.

No server says beforehand whether its model sees images, or how it takes what a client asks of its
thinking. It tells by a 400, before anything was executed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import Enum, auto
from uuid import UUID

from providers.snapshot import ProviderEntry

REMEMBERED_SECONDS = 300.0
"""A server may be started anew with another model, or other options."""
MOST_REMEMBERED = 10_000


class Ability(Enum):
    """What a call can do without."""

    IMAGES = auto()
    THINKING_BUDGET = auto()
    EFFORT = auto()


NO_ABILITIES: frozenset[Ability] = frozenset()


class Abilities:
    """What this process has learnt, for a while."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lacking: dict[tuple[UUID, object, str], dict[Ability, float]] = {}

    def note_lack(self, provider: ProviderEntry, model: str, ability: Ability) -> None:
        """`provider` just refused a call of `model` for this."""
        if len(self._lacking) >= MOST_REMEMBERED:
            self._lacking.clear()
        known = self._lacking.setdefault(_key(provider, model), {})
        known[ability] = self._clock() + REMEMBERED_SECONDS

    def lacking(self, provider: ProviderEntry, model: str) -> frozenset[Ability]:
        known = self._lacking.get(_key(provider, model)) if self._lacking else None
        if not known:
            return NO_ABILITIES
        now = self._clock()
        return frozenset(ability for ability, until in known.items() if now < until)


def _key(provider: ProviderEntry, model: str) -> tuple[UUID, object, str]:
    return provider.id, provider.address, model
