"""Tier + what is seen of its servers -> which of them, best first. Pure.

Every policy is a function of numbers: which ways can be taken, how many calls each server has, and
the key or turn of the call. Working out the first choice at 200 servers costs some 30 µs; those
after it are worked out only when they are asked for.
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
FEW = 4
"""So many of the highest scores are looked at one by one before all are."""
TO_WHOLE = 1.5 * 2.0**52
"""Adding it to a float and taking it away again rounds the float to a whole number: floats of that
size have no fraction. What the rounding took, from -0.5 to 0.5, serves as the fraction, and costs
half as much as `% 1.0` does."""
GOLDEN = 0.6180339887498949
"""Multiples of it, modulo 1, are spread evenly however many there are."""
NOWHERE = float("-inf")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a choice is made from, beside the tier: `usable` are the numbers of the ways that can be
    taken, in order; `calls` has each way's load, in calls, usable or not."""

    tier: Tier
    usable: Sequence[int]
    calls: Sequence[float]
    key: int
    """Of the session, from 0 to 2**32: `routing.affinity` makes it."""
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
    """By rendezvous hashing (Thaler and Ravishankar, 1998): each server has a score for the session,
    and the highest gets the call. Those over the bound come behind the others. A server that comes
    or goes moves its own sessions alone.

    A session whose prefix has homes goes to one of them, unless all are over the bound."""
    fair = _fair(choice)
    best = _best_within(choice, choice.homes, fair) if choice.homes else None
    if best is None:
        best = _best_within(choice, choice.usable, fair)
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


def _best_within(choice: Choice, numbers: Sequence[int], fair: float) -> int | None:
    """Of these ways, the one with the highest score among those within the bound. It is mostly among
    the highest few of all, and finding these one by one costs least."""
    calls, scores = choice.calls, _scores(choice, numbers)
    most = _most(choice.tier, numbers, fair)
    for _ in range(min(FEW, len(numbers))):
        best = scores.index(max(scores))
        if calls[numbers[best]] < most[best]:
            return numbers[best]
        scores[best] = NOWHERE
    within = [
        score if calls[number] < room else NOWHERE
        for number, score, room in zip(numbers, scores, most, strict=True)
    ]
    best = within.index(max(within))
    return None if within[best] == NOWHERE else numbers[best]


def _ranked(choice: Choice, fair: float) -> list[int]:
    """Those within the bound by score, the homes among them first; behind them those over it, the
    least loaded first."""
    calls, usable, homes = choice.calls, choice.usable, frozenset(choice.homes)
    scores, most = _scores(choice, usable), _most(choice.tier, usable, fair)

    def rank(at: int) -> tuple[bool, bool, float]:
        room = most[at] - calls[usable[at]]
        return (True, usable[at] in homes, scores[at]) if room > 0 else (False, False, room)

    return [usable[at] for at in sorted(range(len(usable)), key=rank, reverse=True)]


def _fair(choice: Choice) -> float:
    """The calls that are a fair share for a weight of one, with the one that is to be sent."""
    usable, tier = choice.usable, choice.tier
    if len(usable) == len(choice.calls):
        return (sum(choice.calls) + 1) / tier.sums[-1]
    total = sum(choice.calls[number] for number in usable)
    return (total + 1) / sum(tier.weights[number] for number in usable)


def _most(tier: Tier, numbers: Sequence[int], fair: float) -> Sequence[int]:
    """How many calls each of these may have at most, for its weight, to get one more."""
    if tier.is_even:
        return [_bound(fair * tier.weights[0])] * len(numbers)
    return [_bound(fair * tier.weights[number]) for number in numbers]


def _bound(fair: float) -> int:
    return max(LEAST, ceil(BOUND * fair + CHANCE * sqrt(fair)))


def _scores(choice: Choice, numbers: Sequence[int]) -> list[float]:
    """How near the session is to each of these ways: the nearest have 0, the others less. Only its
    server, the session and the strain decide it."""
    scores, strain = _nearness(choice, numbers), choice.strain
    if not strain:
        return scores
    if len(numbers) < len(strain):
        strain = [strain[number] for number in numbers]
    return [score * times for score, times in zip(scores, strain, strict=True)]


def _nearness(choice: Choice, numbers: Sequence[int]) -> list[float]:
    """From -1 to 0, from the server and the session alone: the fraction of the key times the server's
    seed, which spreads the keys evenly (Weyl, 1916). Raising it to the power of the server's root
    gives one of double weight double the sessions (Schindelhauer, Schomaker, 2005)."""
    key, tier = float(choice.key), choice.tier
    seeds, roots = tier.seeds, tier.roots
    if len(numbers) < len(seeds):
        seeds = tuple(seeds[number] for number in numbers)
        roots = tuple(roots[number] for number in numbers)
    scores = [(spread := key * seed) - ((spread + TO_WHOLE) - TO_WHOLE) - 0.5 for seed in seeds]
    if tier.is_even:
        return scores
    return [(score + 1.0) ** root - 1.0 for score, root in zip(scores, roots, strict=True)]


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
