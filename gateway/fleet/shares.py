"""The calls that servers were sent of late, from which it is told who had more than its
share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from gateway.fleet.overview import Overview
from gateway.fleet.sight import Sight
from gateway.routing import Tier, fair_calls, strain, strains


@dataclass(frozen=True, slots=True)
class Counted:
    """Of the ways of one tier: the calls that were `recent`, of which `fair` are one weight's share,
    and the strain that comes of them."""

    tier: Tier
    recent: Sequence[float]
    fair: float
    strains: Sequence[float]
    numbers: Mapping[Sight, Sequence[int]]
    """Of each server's ways."""

    def strains_without(self, own: Iterable[tuple[Sight, float]]) -> Sequence[float]:
        """As a session sees it whose calls at these servers were so many: they are no strain to it,
        or it would leave its server for them, and the next one soon after."""
        if not self.strains:
            return ()
        found = list(self.strains)
        for sight, calls in own:
            for number in self.numbers.get(sight, ()):
                fair = self.fair * self.tier.shares[number]
                found[number] = strain(self.recent[number] - calls, fair)
        return found


def counted(overview: Overview, tier: Tier, told: Mapping[UUID, float]) -> Counted:
    """By what all processes have `told`, else by what this one counted; see `_recent_calls`."""
    sights = overview.sights
    _assume_shares(sights, tier)
    recent = _recent_calls(sights, tier, told)
    fair, strained = fair_calls(tier, recent), strains(tier, recent)
    return Counted(tier, recent, fair, strained, overview.numbers)


def _assume_shares(sights: Sequence[Sight], tier: Tier) -> None:
    """Who is new, or takes no calls now, counts as if it had had its share of late: else it would
    draw the sessions of all others once it is there, and they theirs back soon after."""
    parts = list(zip(sights, tier.weights, tier.shares, strict=True))
    there = [part for part in parts if not _is_away(part[0])]
    calls = sum(sight.recent * weight / share for sight, weight, share in there)
    fair = calls / (sum(weight for _, weight, _ in there) or 1.0)
    for sight, _, share in parts:
        if _is_away(sight):
            sight.recent, sight.is_new = fair * share, False


def _recent_calls(
    sights: Sequence[Sight], tier: Tier, told: Mapping[UUID, float]
) -> Sequence[float]:
    """To the server of each way: of all processes, where these have `told` it, so that all find the
    same. One of which they have not told counts as having its share."""
    counted = [told.get(sight.entry.id) for sight in sights]
    parts = list(zip(counted, tier.weights, tier.shares, strict=True))
    there = [
        (calls * weight / share, weight) for calls, weight, share in parts if calls is not None
    ]
    if not there:
        return [sight.recent for sight in sights]
    fair = sum(calls for calls, _ in there) / sum(weight for _, weight in there)
    return [fair * share if calls is None else calls for calls, _, share in parts]


def _is_away(sight: Sight) -> bool:
    return sight.is_new or sight.is_shut
