"""How many calls have begun with which shared prefix of late, as far as this process sent them. It
belongs to one event loop."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

from gateway.routing import Session, Tier
from providers.homes import LEAST_CALLS, Prefix, most_used

MOST_COUNTED = 512
"""Callers choose the prefixes, and could make up any number: the less frequent ones are forgotten."""
FORGOTTEN_CALLS = LEAST_CALLS / 100
"""So few are none, of however many processes; a prefix keeps its tier in memory."""


@dataclass(slots=True)
class _Counted:
    tier: Tier
    last: int
    """The session that began with it last."""
    calls: float = 0.0
    is_shared: bool = False
    """Whether two sessions did: one alone stays best where it is."""


class Prefixes:
    """By numbers that a prefix has in one tier."""

    def __init__(self) -> None:
        self._counted: dict[int, _Counted] = {}

    def note(self, session: Session, tier: Tier) -> None:
        """A call of this session is sent."""
        number = number_in(tier, session)
        if number is None:
            return
        counted = self._counted.get(number)
        if counted is None:
            if len(self._counted) >= 2 * MOST_COUNTED:  # until the next `age`
                return
            counted = self._counted[number] = _Counted(tier, session.key)
        counted.calls += 1.0
        counted.tier = tier
        counted.is_shared = counted.is_shared or counted.last != session.key

    def age(self, kept: float) -> None:
        """Each call counts for so much less by now."""
        for counted in self._counted.values():
            counted.calls *= kept
        frequent = [each for each in self._counted.items() if each[1].calls >= FORGOTTEN_CALLS]
        if len(frequent) > MOST_COUNTED:
            frequent.sort(key=lambda each: -each[1].calls)
        self._counted = dict(frequent[:MOST_COUNTED])

    def told(self, in_plan: Collection[int] = (), kept: float = 1.0) -> dict[int, Prefix]:
        """Those that most calls of several sessions began with, rather those that are in the plan;
        each call counts for so much by now. From any thread."""
        weights: dict[int, Mapping[UUID, float]] = {}
        """By scope: many tiers have the same one, each spelling of a model its own tier."""
        prefixes = {}
        for number, counted in list(self._counted.items()):
            if counted.is_shared:
                tier = counted.tier
                if tier.scope not in weights:
                    weights[tier.scope] = _weights(tier)
                prefixes[number] = Prefix(counted.calls * kept, weights[tier.scope])
        return most_used(prefixes, in_plan)


def number_in(tier: Tier, session: Session) -> int | None:
    """Of the session's prefix; None if it has none to speak of. See `homes.kin`."""
    return None if session.prefix is None else session.prefix ^ tier.scope


def _weights(tier: Tier) -> Mapping[UUID, float]:
    return {way.provider.id: share for way, share in zip(tier.ways, tier.shares, strict=True)}
