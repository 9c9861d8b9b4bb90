"""Tier + what is seen of its servers -> which of them, best first. Pure.

Every policy is a function of numbers: which ways can be taken, how many calls each server has, and
the key or turn of the call. Most calls need the first choice alone; those after it are worked out
only when they are asked for.
"""

from __future__ import annotations

import random as chance
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, sqrt

from gateway.routing.pools import Part, Tier

BOUND, CHANCE = 1.25, 2.0
"""A server with more than so many times its fair share of the pool's calls gets no session more:
consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, 2018). To that comes what
chance brings: where four calls are fair, one server in ten has seven at any moment and is none the
busier, and sessions that left it for that would find nothing cached elsewhere. So a server may have
as many more as twice the root of its share."""
LEAST = 3
"""So many calls at once are no load to speak of: where the fair share is less than one, the second
call of a session would have to go where nothing of it is cached."""
STRAIN, EVIDENCE = 4, 200.0
"""A server that has had more than its share of late draws fewer sessions, by this power of how many
times its share it had. A few calls more say little: to all are added so many calls as make the share
itself and them the EVIDENCE when multiplied. Where 14 calls are fair, what a server had beyond counts
half; where 100 are, nearly all of it."""
GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, are spread evenly however many there are."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What a choice is made from, beside the tier: `usable` are the numbers of the ways that can be
    taken, in order; `calls` has each way's load, in calls, usable or not."""

    tier: Tier
    usable: Sequence[int]
    calls: Sequence[float]
    key: int
    """Of the session, below `distances.SPAN`: `routing.affinity` makes it."""
    turn: int
    """Grows with each call of the pool."""
    strain: Sequence[float] = ()
    """Of each way, see `strains`; empty where none has any."""
    homes: Sequence[int] = ()
    """Of the usable ways, those that come before the others; empty: none does."""


def order(policy: str, choice: Choice) -> Iterator[int]:
    """The usable ways by their numbers, best first."""
    if choice.tier.models and policy in BY_LOAD:
        return _by_model(policy, choice)
    return POLICIES[policy](choice)


def _by_model(policy: str, choice: Choice) -> Iterator[int]:
    """Between two models of one server its load and nearness say nothing: which model it is to be
    is drawn by weight, for a session always the same one; then the policy chooses among its
    servers."""
    models = choice.tier.models
    sums = tuple(accumulate(part.weight for part in models))
    fraction = (choice.key if policy == "affinity" else choice.turn) * GOLDEN % 1.0
    first = min(bisect(sums, fraction * sums[-1]), len(models) - 1)
    for part in (*models[first:], *models[:first]):
        yield from _within(policy, choice, part)


def _within(policy: str, choice: Choice, part: Part) -> Iterator[int]:
    numbers, strain = part.numbers, choice.strain
    usable: Sequence[int] = range(len(numbers))
    if len(choice.usable) < len(choice.calls):
        taken = frozenset(choice.usable)
        usable = [place for place in usable if numbers[place] in taken]
    if usable:
        calls = [choice.calls[number] for number in numbers]
        strain = [strain[number] for number in numbers] if strain else ()
        homes = [place for place in usable if numbers[place] in choice.homes]
        among = Choice(part.tier, usable, calls, choice.key, choice.turn, strain, homes)
        yield from (numbers[place] for place in POLICIES[policy](among))


def affinity(choice: Choice) -> Iterator[int]:
    """The nearest to the session comes first, see `distances`; those over the bound come behind the
    others.

    A session whose prefix has homes goes to one of them, unless all are over the bound."""
    fair = _fair(choice)
    best = _nearest_within(choice, choice.homes, fair) if choice.homes else None
    if best is None:
        best = _nearest_within(choice, choice.usable, fair)
    if best is not None:
        yield best
    yield from (number for number in _ranked(choice, fair) if number != best)


def strains(tier: Tier, recent: Sequence[float]) -> Sequence[float]:
    """From the calls that each server was sent of late, how much farther than it is it looks to
    sessions: 1 for those that had no more than their share. Hashing alone gives some servers half
    as many sessions again as others; by this the sessions that are nearly as close to another
    go there, always the same ones, where a bound on calls alone sends now these, now those. Empty
    where none has had more than its share."""
    fair = fair_calls(tier, recent)
    found = [strain(calls, fair * share) for calls, share in zip(recent, tier.shares, strict=True)]
    return found if max(found) > 1.0 else ()


def fair_calls(tier: Tier, recent: Sequence[float]) -> float:
    """Of those that the tier's servers were sent of late, for one unit of weight. Each server
    counts once, by however many models it is there."""
    parts = zip(recent, tier.weights, tier.shares, strict=True)
    return sum(calls * weight / share for calls, weight, share in parts) / tier.sums[-1]


def strain(calls: float, fair: float) -> float:
    """Of a server that was sent so many calls where so many are fair."""
    few = EVIDENCE / max(fair, 1.0)
    return max(1.0, (calls + few) / (fair + few)) ** STRAIN


def _nearest_within(choice: Choice, numbers: Sequence[int], fair: float) -> int | None:
    """Of these ways, the nearest of those within the bound. Mostly it is the nearest of all, and
    finding that one costs least."""
    nearest = _nearest(choice, numbers)
    if choice.calls[nearest] < _most(choice.tier, nearest, fair):
        return nearest
    within = _within_bound(choice, numbers, fair)
    return _nearest(choice, within) if within else None


def _nearest(choice: Choice, numbers: Sequence[int]) -> int:
    """Of these ways, the nearest to the session where strain has been added. Strain only makes a
    way farther: where the nearest without it is strained, those are compared that are nearer than
    it is then."""
    distances = choice.tier.distances.of(choice.key, numbers)
    least, strain = min(distances), choice.strain
    at = distances.index(least)
    if not strain or strain[numbers[at]] == 1.0:
        return numbers[at]
    reach = least * strain[numbers[at]]
    if choice.tier.is_even:
        reach = ceil(reach)  # the distances are whole numbers, and compared faster with such
    near = [place for place, distance in enumerate(distances) if distance < reach] or [at]
    return numbers[min(near, key=lambda place: distances[place] * strain[numbers[place]])]


def _ranked(choice: Choice, fair: float) -> list[int]:
    """Those within the bound by distance, the homes among them first; behind them those over it, the
    least loaded first."""
    usable, calls, tier = choice.usable, choice.calls, choice.tier
    homes, within = frozenset(choice.homes), frozenset(_within_bound(choice, usable, fair))
    distances = dict(zip(usable, tier.distances.of(choice.key, usable), strict=True))
    if strain := choice.strain:
        distances = {number: far * strain[number] for number, far in distances.items()}
    near = sorted(within, key=lambda number: (number not in homes, distances[number], number))
    over = [number for number in usable if number not in within]
    return near + sorted(over, key=lambda number: calls[number] - _most(tier, number, fair))


def _within_bound(choice: Choice, numbers: Sequence[int], fair: float) -> list[int]:
    calls, tier = choice.calls, choice.tier
    if tier.is_even:
        most = _most(tier, 0, fair)
        return [number for number in numbers if calls[number] < most]
    return [number for number in numbers if calls[number] < _most(tier, number, fair)]


def _fair(choice: Choice) -> float:
    """The calls that are a fair share for a weight of one, with the one that is to be sent."""
    usable, tier, calls = choice.usable, choice.tier, choice.calls
    if len(usable) == len(calls):
        return (sum(calls) + 1) / tier.sums[-1]
    total = sum([calls[number] for number in usable])  # a generator would take twice the time
    if tier.is_even:
        return (total + 1) / (tier.weights[0] * len(usable))
    return (total + 1) / sum([tier.weights[number] for number in usable])


def _most(tier: Tier, number: int, fair: float) -> int:
    """The calls that this way may have, for its weight, before it is over the bound."""
    fair *= tier.weights[number]
    return max(LEAST, ceil(BOUND * fair + CHANCE * sqrt(fair)))


def least_loaded(choice: Choice) -> Iterator[int]:
    """By calls for each unit of weight; those that have equally few take turns."""
    calls, weights = choice.calls, choice.tier.weights
    turned = _turned(choice)
    if choice.tier.is_even:
        load: Callable[[int], float] = calls.__getitem__
    else:

        def load(number: int) -> float:
            return (calls[number] + 1) / weights[number]

    best = min(turned, key=load)
    yield best
    yield from (number for number in sorted(turned, key=load) if number != best)


def _turned(choice: Choice) -> list[int]:
    """The usable ways, beginning with the one whose turn it is."""
    start = choice.turn % len(choice.usable)
    return [*choice.usable[start:], *choice.usable[:start]]


def round_robin(choice: Choice) -> Iterator[int]:
    """In turns; with weights, spread evenly in time by the golden ratio."""
    if choice.tier.is_even:
        yield from _turned(choice)
    else:
        yield from _drawn(choice, choice.turn * GOLDEN % 1.0)


def random(choice: Choice) -> Iterator[int]:
    """By weight."""
    yield from _drawn(choice, chance.random())  # noqa: S311 - spreads load, guards nothing


def _drawn(choice: Choice, fraction: float) -> Iterator[int]:
    """With the weights laid end to end, the way at `fraction` of their length; then the others, in
    their order from there on."""
    usable, tier = choice.usable, choice.tier
    sums = tier.sums
    if len(usable) < len(sums):
        total, sums = 0.0, ()
        sums = tuple(total := total + tier.weights[number] for number in usable)
    place = min(bisect(sums, fraction * sums[-1]), len(usable) - 1)
    yield usable[place]
    yield from usable[place + 1 :]
    yield from usable[:place]


BY_LOAD = frozenset({"affinity", "least_loaded"})
POLICIES: Mapping[str, Callable[[Choice], Iterator[int]]] = {
    "affinity": affinity,
    "least_loaded": least_loaded,
    "round_robin": round_robin,
    "random": random,
}
