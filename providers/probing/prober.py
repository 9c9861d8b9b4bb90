"""The prober: looks at each server every few seconds, if it is this process's turn to probe.

One process of the installation holds the lease, looks, and writes what it finds; the others read
it. Without the database nobody can hold a lease: then each process looks for itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import random
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Protocol, TypeVar
from uuid import UUID, uuid4

from django.utils import timezone

from providers import revision
from providers.catalog import Catalog
from providers.fetch import Fetching
from providers.homes import NO_HOMES, Homes, Usage
from providers.observed import SHUNNED, Lookout, Observation, Observed, Report, Reports, State
from providers.probing import lease, outcomes, plans, rows
from providers.probing.outcomes import UNKNOWN, Track
from providers.probing.probe import HEALTH_SECONDS, METRICS_SECONDS, look_at
from providers.probing.rows import Found
from providers.snapshot import ProviderEntry
from providers.turns import Turn, TurnLog, line

LOOK_AROUND_SECONDS = 0.5
EXCHANGE_SECONDS, IDLE_EXCHANGE_SECONDS = 1.0, 2.0
"""While calls run or loads change, and otherwise."""
REPORT_SECONDS = 2.0
REFRESH_SECONDS = 6.0
"""How often the rows of servers that are as they were say when somebody has looked; see
`health.TRUSTED_SECONDS`."""
FORGET_ROUND_SECONDS = 60.0
AT_ONCE = 256
"""Servers that are looked at at the same time."""

T = TypeVar("T")
log = logging.getLogger("aurora.probing")


class InDatabase(Protocol):
    """Does a piece of work with the database, elsewhere than on the event loop."""

    async def __call__(self, work: Callable[..., T], *arguments: object) -> T: ...


@dataclass(frozen=True, slots=True)
class Heard:
    """What the database says: whether this process probes, how many there are, what the last looks
    found (for whoever did not look itself), where sessions are at home, and how often anything that
    exists was changed."""

    leads: bool
    processes: int
    found: Mapping[UUID, Found]
    homes: Homes
    revision: int


@dataclass(frozen=True, slots=True)
class Watched:
    """One server. Times are of the monotonic clock; `looked` is None until anybody has looked."""

    question: tuple[object, ...]
    track: Track = UNKNOWN
    since: datetime = field(default_factory=timezone.now)
    due: float = 0.0
    looked: float | None = None
    checked: datetime | None = None
    """When the look was that was read of another process, by the database's clock."""


class Prober:
    """`exchange` and `look_around` are called again and again, on one event loop.

    `clock` gives seconds that only grow; every process has the same `lease_seconds`.
    """

    def __init__(
        self,
        catalog: Catalog,
        lookout: Lookout,
        reports: Reports,
        usage: Callable[[], Usage],
        fetch: Fetching,
        *,
        probe_seconds: float,
        ask_anew: Callable[[UUID], None] = lambda _: None,
        lease_seconds: float = lease.LEASE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`ask_anew` has a server asked for what it serves, which may be something else once it is
        well again."""
        self._catalog, self._lookout = catalog, lookout
        self._reports, self._usage = reports, usage
        self._fetch, self._probe_seconds = fetch, probe_seconds
        self._ask_anew = ask_anew
        self._lease_seconds, self._clock = lease_seconds, clock
        self._id = uuid4()
        self._watched: dict[UUID, Watched] = {}
        self._looking: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(AT_ONCE)
        self._leads, self._processes, self._homes = False, 1, NO_HOMES
        self._heard_at = self._clock()
        self._has_heard = self._is_idle = False
        self._written: dict[UUID, Track] = {}
        self._refreshed_at = self._reported_at = self._forgot_at = -math.inf
        self._has_news = asyncio.Event()
        self.turn_log = TurnLog()
        """For all who hear of the servers: what one tells of a server, the other need not."""

    async def exchange(self, in_database: InDatabase) -> int:
        """Write what has changed and what this process sees; take in what others have. The revision,
        which is read with it."""
        self._has_news.clear()
        now, unwritten = self._clock(), self._unwritten()
        reports, usage = self._reports(), self._usage()
        heard = await in_database(self._exchanged, now, unwritten, reports, usage)
        if not (heard.leads and self._leads):
            self._take_over(heard.found, now)
        if heard.leads:
            self._written |= {id: found.track for id, found in unwritten.items()}
        else:
            self._written = {}
        self._is_idle = not (reports or usage.recent or _are_busy(unwritten.values()))
        self._leads, self._processes, self._homes = heard.leads, heard.processes, heard.homes
        self._heard_at, self._has_heard = self._clock(), True
        self._publish()
        return heard.revision

    async def until_exchange(self, seconds: float, idle_seconds: float) -> None:
        """For so long; where there is nothing that others wait for, for `idle_seconds`. Until a
        server comes into another state."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(idle_seconds if self._is_idle else seconds):
                await self._has_news.wait()

    @property
    def follows(self) -> bool:
        """Whether another process looks after the servers."""
        return self._has_heard and not self._probes

    async def look_around(self) -> None:
        """Tell the calls what is known, and look at the servers whose time has come."""
        self._follow_the_catalog()
        if self._probes:
            self._look_at_those_due()
        self._publish()

    async def stop(self, in_database: InDatabase) -> None:
        """Leave the lease to the next one."""
        for task in self._looking:
            task.cancel()
        await asyncio.gather(*self._looking, return_exceptions=True)
        await in_database(self._leave)

    @property
    def _probes(self) -> bool:
        """A database that is away longer than a lease lasts leaves each process to itself."""
        return self._leads or self._is_alone

    @property
    def _is_alone(self) -> bool:
        return self._clock() - self._heard_at > self._lease_seconds

    # With the database, on its thread.

    def _exchanged(
        self,
        now: float,
        found: Mapping[UUID, Found],
        reports: Mapping[UUID, Report],
        usage: Usage,
    ) -> Heard:
        with rows.one_commit():
            heard = self._told(now, reports, usage)
            if heard.leads and now - self._refreshed_at >= REFRESH_SECONDS:
                rows.refresh(self._ages(now, found))
                self._refreshed_at = now
        if heard.leads:
            rows.write(found)
        if now - self._forgot_at >= FORGET_ROUND_SECONDS:
            rows.forget_the_dead()
            self._forgot_at = now
        return heard

    def _told(self, now: float, reports: Mapping[UUID, Report], usage: Usage) -> Heard:
        leads = lease.hold(self._id, self._lease_seconds)
        if now - self._reported_at >= REPORT_SECONDS:
            rows.report(self._id, reports, usage)
            if leads:
                plans.plan()
            self._reported_at = now
        found = {} if leads and self._leads else rows.read()
        return Heard(leads, rows.running(), found, plans.read(), revision.current())

    def _leave(self) -> None:
        rows.leave(self._id)
        lease.release(self._id)

    # What is known.

    def _unwritten(self) -> dict[UUID, Found]:
        """What the rows do not say yet. A load that is not none is told with each look: it is less
        and less true as it ages."""
        now = self._clock()
        return {
            id: Found(watched.track, watched.since, now - watched.looked)
            for id, watched in self._watched.items()
            if watched.looked is not None
            and (watched.track != self._written.get(id) or _is_loaded(watched.track))
        }

    def _ages(self, now: float, but: Mapping[UUID, Found]) -> dict[UUID, float]:
        """How long ago each server was looked at, in seconds, of those whose rows are written."""
        return {
            id: now - watched.looked
            for id, watched in list(self._watched.items())
            if watched.looked is not None and id in self._written and id not in but
        }

    def _take_over(self, found: Mapping[UUID, Found], now: float) -> None:
        """What the rows say, for whoever did not look: to go by, or to go on from."""
        for id, watched in self._watched.items():
            row = found.get(id)
            if row and (row.checked, row.track) != (watched.checked, watched.track):
                looked = now - row.age_seconds
                self._watched[id] = replace(
                    watched, track=row.track, since=row.since, looked=looked, checked=row.checked
                )

    def _follow_the_catalog(self) -> None:
        providers = self._catalog.current().providers.values()
        self._watched = {provider.id: self._watch(provider) for provider in providers}

    def _watch(self, provider: ProviderEntry) -> Watched:
        """What is known of it; nothing if it is new or reached otherwise than before."""
        question = (provider.address, provider.authorization, provider.problem)
        held = self._watched.get(provider.id)
        if held is None:
            return Watched(question)
        if held.question != question:
            return Watched(question, Track(recovered=held.track.recovered))
        return held

    def _publish(self) -> None:
        """What has not changed is not told again: whoever reads it has work with what is new."""
        servers = {
            id: _observation(watched.track, watched.looked)
            for id, watched in self._watched.items()
            if watched.looked is not None
        }
        observed = Observed(MappingProxyType(servers), max(1, self._processes), self._known_homes())
        if observed != self._lookout.current():
            self._lookout.publish(observed)

    def _known_homes(self) -> Homes:
        """Without the database nobody hears any more what others have sent: each process goes by
        what it counts itself."""
        return Homes(of=self._homes.of) if self._is_alone else self._homes

    # Looking.

    def _look_at_those_due(self) -> None:
        now = self._clock()
        for provider in self._catalog.current().providers.values():
            watched = self._watched[provider.id]
            if watched.due <= now:
                later = now + HEALTH_SECONDS + METRICS_SECONDS + self._probe_seconds
                self._watched[provider.id] = replace(watched, due=later)
                task = asyncio.create_task(self._look(provider, watched.question))
                self._looking.add(task)
                task.add_done_callback(self._looked)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking.discard(task)
        if not task.cancelled() and (error := task.exception()):
            log.error("a look at a server failed", exc_info=error)

    async def _look(self, provider: ProviderEntry, question: tuple[object, ...]) -> None:
        async with self._room:
            look = await look_at(provider, self._fetch)
        held = self._watched.get(provider.id)
        if held is None or held.question != question:
            return  # gone, or reached otherwise by now: this says nothing of it
        track = outcomes.after(held.track, look)
        is_turn = track.state is not held.track.state
        if is_turn:
            self._has_news.set()
            if turn := _turn(provider, held.track.state, track):
                self.turn_log.tell(turn, fleet=len(self._watched))
        if track.recovered > held.track.recovered:
            self._ask_anew(provider.id)
        now = self._clock()
        jitter = random.uniform(0.8, 1.2)  # noqa: S311 - spreads load, guards nothing
        self._watched[provider.id] = Watched(
            question,
            track,
            since=timezone.now() if is_turn else held.since,
            due=now + self._probe_seconds * jitter,
            looked=now,
        )


def _turn(provider: ProviderEntry, before: State, track: Track) -> Turn | None:
    """Where a server comes into another state; not where a new one is simply well."""
    level = logging.WARNING if track.state in SHUNNED else logging.INFO
    if level == logging.INFO and before is State.UNKNOWN and not track.reason:
        return None
    state = track.state.value
    text = f" is {state}" + (f": {track.reason}" if track.reason else "")
    written = line(log, level, provider.name, text, state=state)
    return Turn(level, provider.name, track.reason or f"is {state}", written)


def _is_loaded(track: Track) -> bool:
    return track.load.running + track.load.waiting > 0


def _are_busy(found: Iterable[Found]) -> bool:
    return any(_is_loaded(each.track) for each in found)


def _observation(track: Track, looked: float) -> Observation:
    return Observation(
        track.state,
        track.reason,
        track.load.running,
        track.load.waiting,
        looked,
        track.recovered,
    )
