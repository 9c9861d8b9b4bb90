"""Asks each server what it serves when its time has come, and has the answers kept.

Answers that come together are kept together: a fleet that is asked at once makes few transactions.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

import msgspec

from providers import discovery
from providers.catalog import Catalog
from providers.database_thread import DatabaseThread
from providers.rechecks import Rechecks
from providers.snapshot import ProviderEntry
from providers.turns import Turn, TurnLog, line

NEW = 0.0
"""Of an appointment: the server has not been asked yet."""
KEEP_SECONDS = 10.0
"""For how long answers that say nothing new gather: of them only the time is kept."""
RECHECK_SECONDS = 1.0
"""A server is asked no more often than this, however often somebody wants it."""
log = logging.getLogger("aurora.background")

Guarded = Callable[[Callable[[], Awaitable[None]]], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two questions to a server, after a first failure, and between two of the
    questions that somebody wants."""

    usual_seconds: float
    first_retry_seconds: float
    recheck_seconds: float = RECHECK_SECONDS


@dataclass(frozen=True, slots=True)
class Appointment:
    """When a server is asked next, by which question, and what came of the last times."""

    due: float
    question: tuple[object, ...]
    failures: int = 0
    reason: str = ""
    has_answered: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of asking, and the server's next appointment: `kept` once that is in the database,
    `unkept` until then."""

    provider: ProviderEntry
    outcome: discovery.Outcome
    kept: Appointment
    unkept: Appointment


class Asking:
    """Belongs to one event loop. Whoever makes it awaits `stop`."""

    def __init__(
        self,
        catalog: Catalog,
        rechecks: Rechecks,
        guarded: Guarded,
        pace: Pace,
        *,
        turn_log: TurnLog,
        others_ask: Callable[[], bool] = lambda: False,
    ) -> None:
        """While `others_ask`, this process asks a server once, and again where somebody wants it."""
        self._catalog, self._rechecks, self._guarded, self._pace = catalog, rechecks, guarded, pace
        self._fetch = discovery.fetch()
        self._appointments: dict[UUID, Appointment] = {}
        self._asking: dict[asyncio.Task[None], UUID] = {}
        self._asked_at: dict[UUID, float] = {}
        self._turn_log, self._others_ask = turn_log, others_ask
        self._answered: dict[UUID, Answered] = {}
        self._known: dict[UUID, int] = {}
        """What this process has kept of each server's last answer, as a hash."""
        self._has_answers = asyncio.Event()
        self._later: asyncio.TimerHandle | None = None
        self.thread = DatabaseThread("discovery")

    def ask_those_due(self) -> None:
        providers = self._catalog.current().providers.values()
        self._appointments = {p.id: self._appointment(p) for p in providers}
        self._asked_at = {id: at for id, at in self._asked_at.items() if id in self._appointments}
        self._rechecks.keep_only(self._appointments)
        now, others_ask = time.monotonic(), self._others_ask()
        for provider in providers:
            due = self._appointments[provider.id].due
            is_due = due <= now and (due == NEW or not others_ask)
            if is_due or self._is_wanted(provider.id, now):
                self._begin_to_ask(provider, now)

    async def stop(self) -> None:
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def _begin_to_ask(self, provider: ProviderEntry, now: float) -> None:
        later = now + discovery.TOTAL_SECONDS + self._pace.usual_seconds
        self._appointments[provider.id] = replace(self._appointments[provider.id], due=later)
        self._asked_at[provider.id] = now
        self._rechecks.begin(provider.id)
        task = asyncio.create_task(self._guarded(partial(self._ask, provider)))
        self._asking[task] = provider.id
        task.add_done_callback(self._asking.pop)

    @property
    def _is_first_round(self) -> bool:
        """Whether others, that were not asked before, are still to be heard of."""
        asked = (self._appointments.get(id) for id in self._asking.values())
        return any(each and not (each.failures or each.has_answered) for each in asked)

    def _is_wanted(self, provider: UUID, now: float) -> bool:
        """Not while it is being asked: that answer may be older than the news."""
        if not self._rechecks.is_wanted(provider) or provider in self._asking.values():
            return False
        return now - self._asked_at.get(provider, -math.inf) >= self._pace.recheck_seconds

    def _appointment(self, provider: ProviderEntry) -> Appointment:
        """The appointment there is, or one for now if the server is new or reached otherwise."""
        question = _question(provider)
        held = self._appointments.get(provider.id)
        return held if held and held.question == question else Appointment(NEW, question)

    async def _ask(self, provider: ProviderEntry) -> None:
        question = _question(provider)
        outcome = await discovery.ask(provider, self._fetch)
        held = self._appointments.get(provider.id)
        if held is None or held.question != question:
            return  # gone, or asked otherwise by now: this answer says nothing of it
        kept = self._next(held, outcome)
        soon = time.monotonic() + self._pace.first_retry_seconds
        is_news = self._known.get(provider.id) != _hash(outcome)
        unkept = self._appointments[provider.id] = replace(kept, due=soon) if is_news else kept
        if turn := _turn(provider, held, outcome):
            fleet = len(self._appointments)
            self._turn_log.tell(turn, fleet=fleet, more_come=self._is_first_round)
        self._answered[provider.id] = Answered(provider, outcome, kept, unkept)
        if is_news:
            self._has_answers.set()
        else:
            self._keep_later()

    def _keep_later(self) -> None:
        loop = asyncio.get_running_loop()
        if self._later is None or self._later.when() <= loop.time():
            self._later = loop.call_later(KEEP_SECONDS, self._has_answers.set)

    async def keep(self) -> None:
        """Once there are answers, keep those that have come until then."""
        await self._has_answers.wait()
        answered, self._answered = self._answered, {}
        self._has_answers.clear()
        told = [(each.provider, each.outcome) for each in answered.values()]
        await self.thread.run(discovery.record_all, told)
        self._known |= {id: _hash(each.outcome) for id, each in answered.items()}
        self._known = {id: it for id, it in self._known.items() if id in self._appointments}
        for id, each in answered.items():
            if self._appointments.get(id) is each.unkept:  # not asked again meanwhile
                self._appointments[id] = each.kept

    def _next(self, held: Appointment, outcome: discovery.Outcome) -> Appointment:
        """After a failure soon, then ever later up to the usual pause; always a little at random."""
        jitter = random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
        if outcome.ok:
            due = time.monotonic() + self._pace.usual_seconds * jitter
            return Appointment(due, held.question, has_answered=True)
        first, most = self._pace.first_retry_seconds, self._pace.usual_seconds
        due = time.monotonic() + backoff_seconds(held.failures, first, most) * jitter
        return replace(held, due=due, failures=held.failures + 1, reason=outcome.text)


def backoff_seconds(failures: int, first: float, most: float) -> float:
    """How long a server is left alone that failed after so many failures in a row."""
    return min(first * 2 ** min(failures, 16), most)


def _hash(outcome: discovery.Outcome) -> int:
    """The same for two answers that say the same."""
    return hash(msgspec.json.encode([outcome.ok, outcome.text, outcome.cards, outcome.routes]))


def _question(provider: ProviderEntry) -> tuple[object, ...]:
    return provider.address, provider.authorization


def _turn(provider: ProviderEntry, held: Appointment, outcome: discovery.Outcome) -> Turn | None:
    """Where a server answers, begins to fail, fails otherwise, or answers again."""
    if not outcome.ok and outcome.text != held.reason:
        written = line(log, logging.WARNING, provider.name, f": {outcome.text}")
        return Turn(logging.WARNING, provider.name, outcome.text, written)
    if outcome.ok and (held.reason or not held.has_answered):
        again = " again" if held.has_answered else ""
        written = line(log, logging.INFO, provider.name, f" answers{again}: {outcome.text}")
        return Turn(logging.INFO, provider.name, outcome.text, written)
    return None
