"""The servers as this process sees them. It belongs to one event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID
from weakref import WeakKeyDictionary

from gateway.fleet.breaker import BESIDE, Breaker, Breaking
from gateway.fleet.budget import Budget
from gateway.fleet.lines import Line, Turns
from gateway.fleet.overview import Overview
from gateway.fleet.prefixes import Prefixes, number_in
from gateway.fleet.sessions import Sessions
from gateway.fleet.shares import Counted, counted
from gateway.fleet.sight import Changes, Sight, kept_after
from gateway.routing import Choice, Pool, Session, Target, Tier, Way, order
from providers.catalog import Catalog
from providers.homes import LEAST_CALLS, NOTHING_USED, Usage, kin, of_kin
from providers.observed import NOTHING_OBSERVED, Lookout, Observed, Report
from providers.snapshot import NOT_LOADED, ProviderEntry, Snapshot

LOOK_SECONDS = 1.0
"""What was observed is aged this often, and whoever waits looks around."""
MOST_TURNS = 4096
NOTHING_TO_SAY = Report()

Clock = Callable[[], float]
Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Place:
    """A way with one of its server's places taken on it: `Fleet.visiting` gives it back."""

    way: Way
    sight: Sight
    breaker: Breaker
    """The server's when the call was sent: it has a new one once it is reached otherwise."""
    sent: int
    """By which `breaker` knows the call; see `Breaker.enter`."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How a call waits: among those of its owner, with so many others at most, for so long; and not
    for the servers that it has tried. `ways` are the numbers of the tier's, in the order in which
    this call takes them, where servers are there by more than one model."""

    owner: UUID
    most_calls: int
    seconds: float
    tried: frozenset[UUID] = frozenset()
    ways: Sequence[int] = ()


class Fleet:
    """`look` comes before anything is asked. `now` is its clock, in seconds; it only grows. By
    `sleep` a call waits before it is sent once more."""

    def __init__(
        self,
        catalog: Catalog,
        lookout: Lookout,
        *,
        repeated_share: float = 0.2,
        clock: Clock = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._catalog, self._lookout = catalog, lookout
        self.now, self.sleep = clock, sleep
        self._look_seconds = look_seconds
        self.budget = Budget(repeated_share, clock())
        self._sights: dict[UUID, Sight] = {}
        self._changes = Changes()
        self._of_tier: WeakKeyDictionary[Tier, Overview] = WeakKeyDictionary()
        self._counted: WeakKeyDictionary[Tier, Counted] = WeakKeyDictionary()
        self._homes: WeakKeyDictionary[Tier, dict[int, Sequence[int]]] = WeakKeyDictionary()
        self._of_kin: Mapping[int, frozenset[UUID]] = {}
        self._prefixes, self._sessions = Prefixes(), Sessions()
        self._waiting: dict[frozenset[UUID], Line[Place]] = {}
        """By the servers of the tiers that calls wait for."""
        self._keys = Turns()
        self._turns: dict[str, int] = {}
        self._snapshot, self._observed = NOT_LOADED, NOTHING_OBSERVED
        self._looked_at = clock()

    # What is known.

    def look(self) -> Snapshot:
        """Take in what has changed; the newest snapshot. Costs next to nothing where nothing has."""
        snapshot, observed, now = self._catalog.current(), self._lookout.current(), self.now()
        is_new = observed is not self._observed or snapshot is not self._snapshot
        if not is_new and now - self._looked_at < self._look_seconds:
            return snapshot
        if is_new:
            self._know(snapshot, observed)
        passed, self._looked_at = now - self._looked_at, now
        self._counted.clear()
        kept = kept_after(passed)
        for id, sight in self._sights.items():
            sight.observe(observed.of(id), now)
            sight.recent *= kept
        self._prefixes.age(kept)
        self._call_up_all()
        return snapshot

    def _know(self, snapshot: Snapshot, observed: Observed) -> None:
        if observed.homes.of != self._observed.homes.of:
            self._homes.clear()
            self._of_kin = of_kin(observed.homes.of)
        self._snapshot, self._observed = snapshot, observed
        there = {entry.id: entry for entry in snapshot.providers.values()}
        for id, sight in list(self._sights.items()):
            if id not in there:
                self._forget(id, sight)
        for entry in there.values():
            self.sight(entry).know(entry, observed.processes)

    def _forget(self, id: UUID, sight: Sight) -> None:
        """Once nothing runs there any more. Until then it gets nothing new."""
        sight.leave()
        if not sight.in_flight:
            del self._sights[id]
            self._of_tier.clear()

    def sight(self, entry: ProviderEntry) -> Sight:
        """For a call to it, whether or not its row is still there."""
        sight = self._sights.get(entry.id)
        if sight is None:
            sight = self._sights[entry.id] = Sight(entry, self._changes)
            sight.know(entry, self._observed.processes)
        return sight

    def sights(self, tier: Tier) -> Sequence[Sight]:
        """By the numbers of its ways."""
        return self._overview(tier).sights

    def are_all_open(self, tier: Tier) -> bool:
        """Whether each of its servers surely takes a call. Mostly each does, and this costs little."""
        return self._overview(tier).are_all_open()

    def _overview(self, tier: Tier) -> Overview:
        found = self._of_tier.get(tier)
        if found is None:
            sights = [self.known(way.provider) for way in tier.ways]
            found = self._of_tier[tier] = Overview(sights, self._changes)
        return found

    def known(self, entry: ProviderEntry) -> Sight:
        """Of a tier that is held for longer than one of its servers has been there, one that
        takes nothing."""
        sight = self._sights.get(entry.id)
        if sight is None:
            sight = Sight(entry, self._changes)
            sight.leave()
        return sight

    def reports(self) -> Mapping[UUID, Report]:
        """What there is to say of the servers, for the admin. From any thread."""
        lines = [(servers, len(line)) for servers, line in list(self._waiting.items())]
        newest = self._lookout.current()
        found: dict[UUID, Report] = {}
        for id, sight in list(self._sights.items()):
            waiting = sum(calls for servers, calls in lines if id in servers)
            report = sight.report(waiting, newest.of(id))
            if report != NOTHING_TO_SAY:
                found[id] = report
        return found

    def usage(self) -> Usage:
        """Where calls were sent of late, for the plan of all processes. From any thread."""
        kept = kept_after(max(0.0, self.now() - self._looked_at))  # no call may have come since
        sights = list(self._sights.items())
        recent = {id: sight.recent * kept for id, sight in sights if not sight.is_new}
        if all(calls < LEAST_CALLS for calls in recent.values()):
            return NOTHING_USED
        return Usage(recent, self._prefixes.told(self._observed.homes.of, kept))

    # Where a call goes.

    def note_prefix(self, session: Session, tier: Tier) -> None:
        """A call of this session is to go to one of the tier's servers."""
        self._prefixes.note(session, tier)

    def note_sent(self, session: Session, sight: Sight) -> None:
        """A call of this session is sent there."""
        self._sessions.note(session.key, sight, self.now())

    def ordered(
        self, pool: Pool, tier: Tier, usable: Sequence[int], session: Session | None
    ) -> Iterator[int]:
        """The numbers of the usable ways, best first. A call of no session goes where the load is
        least instead of where its session was."""
        if len(usable) == 1:
            return iter(usable)
        calls, turn = self._overview(tier).calls(), self._turn(tier)
        if pool.policy != "affinity":
            return order(pool.policy, Choice(tier, usable, calls, 0, turn))
        if session is None:
            return order("least_loaded", Choice(tier, usable, calls, 0, turn))
        homes = self._homes_of(session, tier, usable)
        choice = Choice(tier, usable, calls, session.key, turn, self._strain(tier, session), homes)
        return order("affinity", choice)

    def _homes_of(self, session: Session, tier: Tier, usable: Sequence[int]) -> Sequence[int]:
        """Of the usable ways, those to the servers at which the session's prefix is at home."""
        number = number_in(tier, session)
        if number is None or not (servers := self._home_servers(number)):
            return ()
        of_tier = self._homes.setdefault(tier, {})
        homes = of_tier.get(number)
        if homes is None:
            there, ways = frozenset(servers), enumerate(tier.ways)
            homes = of_tier[number] = [at for at, way in ways if way.provider.id in there]
        if len(usable) == len(tier.ways):
            return homes
        able = frozenset(usable)
        return [at for at in homes if at in able]

    def _home_servers(self, number: int) -> Collection[UUID]:
        """Empty: everywhere. One that is not in the plan yet is at home where its kin is: a server
        may just have come or gone."""
        planned = self._observed.homes.of.get(number)
        return self._of_kin.get(kin(number), ()) if planned is None else planned

    def _strain(self, tier: Tier, session: Session) -> Sequence[float]:
        """As it was when things were last looked at: it changes slowly."""
        held = self._counted.get(tier)
        if held is None:
            told = self._observed.homes.recent
            held = self._counted[tier] = counted(self._overview(tier), tier, told)
        own = self._sessions.own(session.key, self.now())
        everywhere = self._observed.processes if self._observed.homes.recent else 1
        return held.strains_without((sight, calls * everywhere) for sight, calls in own)

    def _turn(self, tier: Tier) -> int:
        if len(self._turns) > MOST_TURNS:
            self._turns.clear()
        turn = self._turns[tier.name] = self._turns.get(tier.name, -1) + 1
        return turn

    def take(self, way: Way, sight: Sight) -> Place:
        return Place(_by_now(way, sight), sight, sight.breaker, sight.begin(self.now()))

    def call_on(self, way: Way) -> Place:
        """For a call to a server itself, however it is: a place that no limit holds."""
        return self.take(way, self.sight(way.provider))

    def look_after(self, way: Way) -> Place:
        """As `call_on`, for a call that is none of the server's work, such as for its metrics: it
        may well answer that while it fails all others, so its breaker is told nothing."""
        sight = self.sight(way.provider)
        sight.begin_beside()
        return Place(_by_now(way, sight), sight, Breaker(), BESIDE)

    def readiest(self, weighted: Iterable[tuple[Target, float]]) -> list[Target]:
        """Those that may be called and have room: the well before the unwell, then by load for
        their weight."""
        now = self.now()
        seen = [(self.known(target.provider), target, weight) for target, weight in weighted]
        able = [each for each in seen if each[0].allows(now) and each[0].has_room]
        able.sort(key=lambda each: (not each[0].admits(now), (each[0].calls + 1) / each[2]))
        return [target for _, target, _ in able]

    def is_unlimited(self, entry: ProviderEntry) -> bool:
        """Whether a call that takes its time keeps no other from the server."""
        sight = self.sight(entry)
        return sight.share is None and sight.breaker.state is Breaking.CLOSED

    @contextmanager
    def visiting(self, place: Place) -> Iterator[None]:
        """Within, the place is taken; then whoever waits for it is called up."""
        try:
            yield
        finally:
            self.give_back(place)

    def give_back(self, place: Place) -> None:
        """Where nothing was learnt by a trial, as when the client left, another call may try."""
        place.breaker.abandon(place.sent)
        place.sight.end()
        self._call_up(place.sight)

    # Who waits.

    async def wait(self, tier: Tier, patience: Patience, still: Callable[[], bool]) -> Place | None:
        """A place at one of the tier's servers, once one is free. None when the patience is over,
        or when `still` says, every `look_seconds`, that there is nothing to wait for any more.

        Tiers of the same servers have one line. Raises LineFull.
        """
        servers = frozenset(way.provider.id for way in tier.ways)
        line = self._waiting.setdefault(servers, Line())
        try:
            return await self._turn_of(line, tier, patience, still)
        finally:
            if not line and self._waiting.get(servers) is line:
                del self._waiting[servers]
            if not self._waiting:
                self._keys.forget()

    async def _turn_of(
        self, line: Line[Place], tier: Tier, patience: Patience, still: Callable[[], bool]
    ) -> Place | None:
        until, is_taken = self.now() + patience.seconds, False
        takes = self._takes(tier, patience)
        turn = line.join(patience.owner, patience.most_calls, takes, self._keys.arrive())
        try:
            for sight in self.sights(tier):  # one may have room that nobody before could use
                self._call_up(sight)
            while not turn.done() and (left := until - self.now()) > 0 and still():
                await asyncio.wait({turn}, timeout=min(left, self._look_seconds))
            is_taken = turn.done()
            return turn.result() if is_taken else None
        finally:
            if not is_taken:
                self._left(line, patience.owner, turn)

    def _takes(self, tier: Tier, patience: Patience) -> dict[UUID, Callable[[], Place]]:
        """Where each server is seen by then: it may have gone and come back meanwhile."""
        takes: dict[UUID, Callable[[], Place]] = {}
        for way in [tier.ways[number] for number in patience.ways] or tier.ways:
            if way.provider.id not in patience.tried:
                takes.setdefault(way.provider.id, partial(self.call_on, way))
        return takes

    def _left(self, line: Line[Place], owner: UUID, turn: asyncio.Future[Place]) -> None:
        """Whoever was given a place and is cancelled before it can take it, gives it back."""
        if not turn.done():
            line.leave(owner, turn)
        elif not turn.cancelled() and turn.exception() is None:
            self.give_back(turn.result())

    def _call_up(self, sight: Sight) -> None:
        """Give the places of a server to those who wait for them, the keys in turns."""
        now, given = self.now(), True
        while given and sight.has_room and sight.admits(now):
            given = self._given(sight.entry.id)

    def _given(self, server: UUID) -> bool:
        """Of a key that stands in several lines, to the call that came first."""
        standing: dict[UUID, tuple[int, Line[Place]]] = {}
        for servers, line in self._waiting.items():
            for owner, number in line.firsts(server) if server in servers else ():
                if owner not in standing or number < standing[owner][0]:
                    standing[owner] = number, line
        first = self._keys.first(standing)
        if first is None:
            return False
        standing[first][1].give(first, server)
        self._keys.note(first)
        return True

    def _call_up_all(self) -> None:
        if self._waiting:
            for sight in self._sights.values():
                self._call_up(sight)


def _by_now(way: Way, sight: Sight) -> Way:
    """With the row as it is now: the call may have waited since it found the way."""
    if way.provider is sight.entry:
        return way
    return replace(way, target=replace(way.target, provider=sight.entry))
