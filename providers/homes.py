"""Where the sessions of one shared prefix are at home: on a part of the fleet that is as large as the
prefix is frequent, so that few servers have to learn it. Pure.

Each process counts what it sends (`Usage`); one of them, the prober, plans from what all of them
counted (`planned`), and all go by its plan (`Homes`): so they agree without asking each other. A plan
is made from the one before and changes as little as it can, since a session that moves finds
nothing cached. It holds MOST_PREFIXES at most, however many prompts there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from uuid import UUID

MOST_PREFIXES = 128
"""Those that most calls begin with. The sessions of others are at home everywhere."""
LEAST_CALLS = 0.1
"""Of late, for a prefix to be planned."""
LEAST_HOMES = 3
"""So that one may be lost, and one be busy."""
ROOM, LEAST_ROOM, MOST_ROOM = 2.5, 1.5, 5.0
"""A prefix gets servers for so many times its calls, and keeps those it has within these bounds:
with some room they can be even, and not each change of its calls changes its homes."""
CHANCE = 2.0
"""Of so many calls as were counted there may be more or fewer by so many times their root: the first
calls after a restart do not say how frequent a prefix is."""
UNEVEN, IDLE = 1.1, 0.5
"""A server that is given more than so many times its share of calls loses one prefix to another; one
that is given less, as when it is new, gets one."""
SLIGHT = 0.75
"""By less than so many times the root of its share it is neither, nor worth a swap: chance shows
less in a server's calls, which are parts of several prefixes', and homes would be swapped to and
fro for nothing."""
MOST_SWAPS = 3
"""In one plan, for each set of servers."""

Weights = Mapping[UUID, float]


@dataclass(frozen=True, slots=True)
class Prefix:
    """`calls` that began with it of late, and the servers among which they are shared out, with
    their weights."""

    calls: float
    weights: Weights


@dataclass(frozen=True, slots=True)
class Usage:
    """What calls were sent of late: to each server in all, and with each prefix."""

    recent: Mapping[UUID, float] = field(default_factory=dict)
    prefixes: Mapping[int, Prefix] = field(default_factory=dict)


NOTHING_USED = Usage()


@dataclass(frozen=True, slots=True)
class Homes:
    """The plan. `recent` is of all processes together, and empty where nobody has counted of late;
    a prefix is at home everywhere that has no servers in `of`, or of which no `kin` is there."""

    recent: Mapping[UUID, float] = field(default_factory=dict)
    of: Mapping[int, tuple[UUID, ...]] = field(default_factory=dict)


NO_HOMES = Homes()


def kin(number: int) -> int:
    """The same for one prefix in all tiers of the same models. Each tier has a number of its own for
    it, and so has what the tier becomes when a server comes or goes; caches know no tiers."""
    return number & 0xFFFF_FFFF


def of_kin(of: Mapping[int, Collection[UUID]]) -> dict[int, frozenset[UUID]]:
    """By `kin`, where any of them is at home."""
    found: dict[int, frozenset[UUID]] = {}
    for number, servers in of.items():
        found[kin(number)] = found.get(kin(number), frozenset()).union(servers)
    return found


def added(usages: Iterable[Usage], in_plan: Collection[int] = ()) -> Usage:
    """All of them together, with their `most_used` prefixes. Where processes see other weights, the
    last one's hold."""
    recent: dict[UUID, float] = {}
    prefixes: dict[int, Prefix] = {}
    for usage in usages:
        for server, calls in usage.recent.items():
            recent[server] = recent.get(server, 0.0) + calls
        for key, prefix in usage.prefixes.items():
            before = prefixes[key].calls if key in prefixes else 0.0
            prefixes[key] = Prefix(before + prefix.calls, prefix.weights)
    return Usage(recent, most_used(prefixes, in_plan))


def most_used(prefixes: Mapping[int, Prefix], in_plan: Collection[int]) -> dict[int, Prefix]:
    """MOST_PREFIXES at most, the most frequent first; but another has to be more frequent than chance
    explains to take the place of one that is in the plan already."""

    def rank(each: tuple[int, Prefix]) -> tuple[float, int]:
        key, calls = each[0], each[1].calls
        return -calls - (2 * CHANCE * sqrt(calls) if key in in_plan else 0.0), key

    frequent = sorted(prefixes.items(), key=rank)
    return {key: it for key, it in frequent[:MOST_PREFIXES] if it.calls >= LEAST_CALLS}


def planned(before: Homes, usage: Usage) -> Homes:
    """The next plan, from the one before and what has been used since."""
    plan = _Plan(before, usage)
    for key in usage.prefixes:
        plan.fit(key)
    for weights in _sets(usage.prefixes.values()):
        plan.even_out(weights)
    return Homes(usage.recent, plan.homes() | _kept(before, usage))


def _kept(before: Homes, usage: Usage) -> dict[int, tuple[UUID, ...]]:
    """The homes of prefixes that nobody has begun with of late, by whatever tier, as far as there is
    room: they may still be cached there, and after a restart nothing has been counted yet."""
    room = MOST_PREFIXES - len(usage.prefixes)
    used = {kin(key) for key in usage.prefixes}
    unused = [each for each in before.of.items() if kin(each[0]) not in used]
    return dict(unused[: max(0, room)])


def _sets(prefixes: Iterable[Prefix]) -> list[Weights]:
    """The sets of servers among which prefixes are shared out."""
    return list({frozenset(each.weights): each.weights for each in prefixes}.values())


class _Plan:
    """A plan in the making: who is at home where, and the calls that this brings each server."""

    def __init__(self, before: Homes, usage: Usage) -> None:
        self._usage = usage
        self._at: dict[int, list[UUID]] = {}
        self._calls: dict[UUID, float] = {}
        self._began = _began(usage.prefixes)
        kins = of_kin(before.of)
        for key, prefix in usage.prefixes.items():
            if key in before.of:
                at: Collection[UUID] = before.of[key] or prefix.weights
            else:
                at = sorted(kins.get(kin(key), ()))
            self._move_in(key, [server for server in at if server in prefix.weights])

    def homes(self) -> dict[int, tuple[UUID, ...]]:
        """As in `Homes`."""
        prefixes = self._usage.prefixes
        return {
            key: tuple(servers) if len(servers) < len(prefixes[key].weights) else ()
            for key, servers in self._at.items()
        }

    def fit(self, key: int) -> None:
        """Give a prefix that has too few or too many homes as many as it needs."""
        weights, servers = self._usage.prefixes[key].weights, self._at[key]
        least, needed, most = self._needed(key)
        if self._is_too_much(key, most):
            self._move_out(key)
            servers = self._least_loaded(servers, weights)
        elif not self._is_enough(key, least):
            self._move_out(key)
            others = set(weights).difference(servers)
            servers = [*servers, *self._least_loaded(others, weights)]
        else:
            return
        self._move_in(key, _enough(servers, weights, ROOM * needed))

    def even_out(self, weights: Weights) -> None:
        for _ in range(MOST_SWAPS):
            if not self._swap(weights):
                return

    def _swap(self, weights: Weights) -> bool:
        """Whether the most loaded server of these lost a prefix to the least loaded that can take
        it: of its prefixes, the one that is nearest to what the most uneven of the two has too much
        or lacks."""
        by_load = self._least_loaded(weights, weights)
        worst, over = by_load[-1], self._over(by_load[-1], weights, UNEVEN)
        uneven = max(over, -self._over(by_load[0], weights, IDLE))
        if uneven <= 0.0:
            return False
        swaps = self._swaps(worst, by_load)
        found = min(swaps, key=lambda each: abs(each[0] - uneven), default=None)
        if found is None:
            return False
        _, key, to = found
        servers = [to if server == worst else server for server in self._at[key]]
        self._move_out(key)
        self._move_in(key, servers)
        return True

    def _over(self, server: UUID, weights: Weights, bound: float) -> float:
        """How many calls it has more than its share, or less; 0 within `bound` times its share and
        what chance explains."""
        whole = max(0.0, sum(self._calls.get(each, 0.0) for each in weights))
        fair = whole * weights[server] / sum(weights.values())
        over = self._calls.get(server, 0.0) - fair
        return over if abs(over) > abs(bound - 1) * fair + SLIGHT * sqrt(fair) else 0.0

    def _swaps(self, worst: UUID, by_load: Sequence[UUID]) -> Iterable[tuple[float, int, UUID]]:
        """The calls, the prefix and the server that gets it, of each swap that is for the better."""
        most = self._calls[worst] - SLIGHT * sqrt(self._calls[worst])
        for key, servers in self._at.items():
            weights, at = self._usage.prefixes[key].weights, frozenset(servers)
            if worst not in at or len(at) == len(weights):
                continue
            to = next((each for each in by_load if each in weights and each not in at), None)
            if to is not None:
                part = self._usage.prefixes[key].calls / _weight(servers, weights)
                gets = (self._calls.get(to, 0.0) + part * weights[to]) / weights[to]
                if gets < most / weights[worst]:
                    yield part * weights[worst], key, to

    def _needed(self, key: int) -> tuple[float, float, float]:
        """The weight of the servers that its calls are a fair share for, by whatever tier: at least,
        as counted, and at most."""
        weights, recent = self._usage.prefixes[key].weights, self._usage.recent
        began = self._began[kin(key)]
        calls = sum(began.get(server, 0.0) for server in weights)
        whole = max(calls, sum(recent.get(server, 0.0) for server in weights))
        each, chance = sum(weights.values()) / whole, CHANCE * sqrt(calls)
        return max(0.0, calls - chance) * each, calls * each, (calls + chance) * each

    def _is_enough(self, key: int, needed: float) -> bool:
        servers, weights = self._at[key], self._usage.prefixes[key].weights
        has = _weight(servers, weights)
        return len(servers) == len(weights) or (
            len(servers) >= LEAST_HOMES and has >= LEAST_ROOM * needed
        )

    def _is_too_much(self, key: int, needed: float) -> bool:
        servers, weights = self._at[key], self._usage.prefixes[key].weights
        room = ROOM if len(servers) == len(weights) else MOST_ROOM
        return len(servers) > LEAST_HOMES and _weight(servers, weights) > room * needed

    def _least_loaded(self, servers: Iterable[UUID], weights: Weights) -> list[UUID]:
        """For their weights; equals in an order that is the same for whoever plans."""
        calls = self._calls
        return sorted(servers, key=lambda each: (calls.get(each, 0.0) / weights[each], each))

    def _move_in(self, key: int, servers: list[UUID]) -> None:
        self._at[key] = servers
        self._load(key, 1.0)

    def _move_out(self, key: int) -> None:
        self._load(key, -1.0)

    def _load(self, key: int, sign: float) -> None:
        prefix, servers = self._usage.prefixes[key], self._at[key]
        whole = _weight(servers, prefix.weights)
        for server in servers:
            part = prefix.calls * prefix.weights[server] / whole
            self._calls[server] = self._calls.get(server, 0.0) + sign * part


def _began(prefixes: Mapping[int, Prefix]) -> dict[int, dict[UUID, float]]:
    """By `kin`, each server's share of the calls that began so."""
    found: dict[int, dict[UUID, float]] = {}
    for key, prefix in prefixes.items():
        at, each = found.setdefault(kin(key), {}), prefix.calls / sum(prefix.weights.values())
        for server, weight in prefix.weights.items():
            at[server] = at.get(server, 0.0) + each * weight
    return found


def _weight(servers: Iterable[UUID], weights: Weights) -> float:
    return sum(weights[server] for server in servers)


def _enough(servers: Sequence[UUID], weights: Weights, wanted: float) -> list[UUID]:
    """The first of them: LEAST_HOMES, or as many as have the weight that is wanted."""
    taken: list[UUID] = []
    for server in servers:
        if len(taken) >= LEAST_HOMES and _weight(taken, weights) >= wanted:
            break
        taken.append(server)
    return taken
