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

from providers import discovery
from providers.catalog import Catalog
from providers.database_thread import DatabaseThread
from providers.rechecks import Rechecks
from providers.snapshot import ProviderEntry

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

    def __init__(self, catalog: Catalog, rechecks: Rechecks, guarded: Guarded, pace: Pace) -> None:
        self._catalog, self._rechecks, self._guarded, self._pace = catalog, rechecks, guarded, pace
        self._fetch = discovery.fetch()
        self._appointments: dict[UUID, Appointment] = {}
        self._asking: dict[asyncio.Task[None], UUID] = {}
        self._asked_at: dict[UUID, float] = {}
        self._answered: dict[UUID, Answered] = {}
        self._has_answers = asyncio.Event()
        self.thread = DatabaseThread("discovery")

    def ask_those_due(self) -> None:
        providers = self._catalog.current().providers.values()
        self._appointments = {p.id: self._appointment(p) for p in providers}
        self._asked_at = {id: at for id, at in self._asked_at.items() if id in self._appointments}
        self._rechecks.keep_only(self._appointments)
        now = time.monotonic()
        for provider in providers:
            if self._appointments[provider.id].due <= now or self._is_wanted(provider.id, now):
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

    def _is_wanted(self, provider: UUID, now: float) -> bool:
        """Not while it is being asked: that answer may be older than the news."""
        if not self._rechecks.is_wanted(provider) or provider in self._asking.values():
            return False
        return now - self._asked_at.get(provider, -math.inf) >= self._pace.recheck_seconds

    def _appointment(self, provider: ProviderEntry) -> Appointment:
        """The appointment there is, or one for now if the server is new or reached otherwise."""
        question = _question(provider)
        held = self._appointments.get(provider.id)
        return held if held and held.question == question else Appointment(0.0, question)

    async def _ask(self, provider: ProviderEntry) -> None:
        question = _question(provider)
        outcome = await discovery.ask(provider, self._fetch)
        held = self._appointments.get(provider.id)
        if held is None or held.question != question:
            return  # gone, or asked otherwise by now: this answer says nothing of it
        _log_turn(provider, held, outcome)
        kept = self._next(held, outcome)
        soon = time.monotonic() + self._pace.first_retry_seconds
        unkept = self._appointments[provider.id] = replace(kept, due=soon)
        self._answered[provider.id] = Answered(provider, outcome, kept, unkept)
        self._has_answers.set()

    async def keep(self) -> None:
        """Once there are answers, keep those that have come until then."""
        await self._has_answers.wait()
        answered, self._answered = self._answered, {}
        self._has_answers.clear()
        told = [(each.provider, each.outcome) for each in answered.values()]
        await self.thread.run(discovery.record_all, told)
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


def _question(provider: ProviderEntry) -> tuple[object, ...]:
    return provider.address, provider.authorization


def _log_turn(provider: ProviderEntry, held: Appointment, outcome: discovery.Outcome) -> None:
    """One line when a server answers, begins to fail, fails otherwise, or answers again."""
    fields = {"fields": {"provider": provider.name}}
    if not outcome.ok and outcome.text != held.reason:
        log.warning("provider %s: %s", provider.name, outcome.text, extra=fields)
    elif outcome.ok and (held.reason or not held.has_answered):
        again = " again" if held.has_answered else ""
        log.info("provider %s answers%s: %s", provider.name, again, outcome.text, extra=fields)
