"""The thread beside the calls: it keeps the snapshot fresh, asks and probes servers, and writes
key use.

It has its own event loop, and one database connection on one worker thread, so neither a slow
database nor a slow server holds up a call. Where the database fails, the last snapshot stays.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import Error as DatabaseFailure
from django.db import OperationalError, connections

from providers import discovery, revision
from providers.catalog import Catalog, load
from providers.connections import renew
from providers.key_use import KeyUse
from providers.probing import Prober
from providers.probing.prober import EXCHANGE_SECONDS, LOOK_AROUND_SECONDS
from providers.rechecks import Rechecks
from providers.snapshot import ProviderEntry, Snapshot

RELOAD_SECONDS = 30.0
"""Read anew this often also without a new revision: catches what was changed past Django."""
DATABASE_SECONDS = 20.0
RECHECK_SECONDS = 1.0
"""A server is asked no more often than this, however often somebody wants it."""

T = TypeVar("T")
log = logging.getLogger("aurora.background")


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds between two rounds of the same work, and before a failing server is asked again."""

    watch_seconds: float = 0.5
    key_use_seconds: float = 5.0
    exchange_seconds: float = EXCHANGE_SECONDS
    look_around_seconds: float = LOOK_AROUND_SECONDS
    first_retry_seconds: float = 1.0


USUAL_ROUNDS = Rounds()


@dataclass(frozen=True, slots=True)
class Appointment:
    """When a server is asked next, by which question, and what came of the last times."""

    due: float
    question: tuple[object, ...]
    failures: int = 0
    reason: str = ""
    has_answered: bool = False


class Background:
    """Start it once per process; it ends with the process, or by `stop`."""

    def __init__(
        self,
        catalog: Catalog,
        key_use: KeyUse,
        prober: Prober,
        *,
        discovery_seconds: float,
        rechecks: Rechecks | None = None,
        recheck_seconds: float = RECHECK_SECONDS,
        rounds: Rounds = USUAL_ROUNDS,
    ) -> None:
        self._catalog, self._key_use, self._prober = catalog, key_use, prober
        self._discovery_seconds, self._rounds = discovery_seconds, rounds
        self._rechecks, self._recheck_seconds = rechecks or Rechecks(), recheck_seconds
        self._fetch = discovery.fetch()
        self._appointments: dict[UUID, Appointment] = {}
        self._asking: dict[asyncio.Task[None], UUID] = {}
        self._asked_at: dict[UUID, float] = {}
        self._loaded_at = -RELOAD_SECONDS
        self._database = ThreadPoolExecutor(1, "aurora-database")
        self._failing: set[object] = set()
        self._unanswered: asyncio.Future[Any] | None = None
        self._running, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="aurora-background", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._running.wait()

    def stop(self, seconds: float = 5.0) -> bool:
        """Whether all has ended in time; it does not while a database leaves a question open."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(seconds)
        waits = self._unanswered is not None and not self._unanswered.done()
        return not (self._thread.is_alive() or waits)

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rechecks.listen(self._hear_of_recheck)
        self._running.set()
        every = self._rounds
        rounds = [
            asyncio.create_task(self._repeat(self._watch, every.watch_seconds)),
            asyncio.create_task(self._repeat(self._write_key_use, every.key_use_seconds)),
            asyncio.create_task(self._repeat(self._exchange, every.exchange_seconds)),
            asyncio.create_task(self._repeat(self._prober.look_around, every.look_around_seconds)),
        ]
        await self._stop.wait()
        self._rechecks.stop_listening()
        for task in (*rounds, *self._asking):
            task.cancel()
        await asyncio.gather(*rounds, *self._asking, return_exceptions=True)
        await self._guarded(self._write_key_use)
        await self._guarded(partial(self._prober.stop, self._in_database))
        await self._guarded(self._close_connections)
        self._database.shutdown(wait=False)

    async def _repeat(self, work: Callable[[], Awaitable[None]], seconds: float) -> None:
        while True:
            await self._guarded(work)
            await asyncio.sleep(seconds)

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, whatever goes wrong: one line as the database begins to fail, and one as all that
        had failed is done again."""
        try:
            await work()
        except DatabaseFailure as error:
            if not self._failing:
                log.error("the database fails, calls go on with what is known: %s", error)
            self._failing.add(_kind(work))
        except Exception:  # whatever goes wrong in one round, the next must still come
            log.exception("a round of background work failed")
        else:
            was_failing = bool(self._failing)
            self._failing -= {_kind(work), self._ask}  # a server may be asked no more
            if was_failing and not self._failing:
                log.info("the database answers again")

    async def _in_database(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work` gives. Raises a database failure also where nothing comes in time."""

        def run() -> T:
            renew()
            return work(*arguments)

        if self._unanswered is not None and not self._unanswered.done():
            raise OperationalError("it still does not answer")
        asked = asyncio.get_running_loop().run_in_executor(self._database, run)
        if not (await asyncio.wait({asked}, timeout=DATABASE_SECONDS))[0]:
            self._unanswered = asked
            raise OperationalError(f"no answer within {DATABASE_SECONDS:g} s")
        return asked.result()

    async def _write_key_use(self) -> None:
        await self._in_database(self._key_use.write)

    async def _exchange(self) -> None:
        await self._prober.exchange(self._in_database)

    async def _close_connections(self) -> None:
        await self._in_database(connections.close_all)

    async def _watch(self) -> None:
        """Publish what has changed, then ask the servers whose time has come."""
        try:
            number = await self._in_database(revision.current)
            aged = time.monotonic() - self._loaded_at >= RELOAD_SECONDS
            if aged or number != self._catalog.current().revision:
                self._publish(await self._in_database(load))
        finally:  # a failing database is no reason to stop asking
            self._ask_those_due()

    def _publish(self, snapshot: Snapshot) -> None:
        had_keys = self._loaded_at < 0 or bool(self._catalog.current().keys)
        self._catalog.publish(snapshot)
        self._loaded_at = time.monotonic()
        if had_keys and not snapshot.keys:
            log.warning(
                "no usable key: every call is answered 401;"
                " set AURORA_MASTER_KEY or add a key in the admin"
            )

    def _ask_those_due(self) -> None:
        providers = self._catalog.current().providers.values()
        self._appointments = {p.id: self._appointment(p) for p in providers}
        self._asked_at = {id: at for id, at in self._asked_at.items() if id in self._appointments}
        self._rechecks.keep_only(self._appointments)
        now = time.monotonic()
        for provider in providers:
            if self._appointments[provider.id].due <= now or self._is_wanted(provider.id, now):
                self._begin_to_ask(provider, now)

    def _begin_to_ask(self, provider: ProviderEntry, now: float) -> None:
        later = now + discovery.TOTAL_SECONDS + self._discovery_seconds
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
        return now - self._asked_at.get(provider, -math.inf) >= self._recheck_seconds

    def _hear_of_recheck(self) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._ask_those_due)

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
        soon = time.monotonic() + self._rounds.first_retry_seconds
        unkept = self._appointments[provider.id] = replace(kept, due=soon)
        await self._in_database(discovery.record, provider, outcome)
        if self._appointments.get(provider.id) is unkept:  # not asked again meanwhile
            self._appointments[provider.id] = kept

    def _next(self, held: Appointment, outcome: discovery.Outcome) -> Appointment:
        """After a failure soon, then ever later up to the usual pause; always a little at random."""
        jitter = random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, guards nothing
        if outcome.ok:
            due = time.monotonic() + self._discovery_seconds * jitter
            return Appointment(due, held.question, has_answered=True)
        first, most = self._rounds.first_retry_seconds, self._discovery_seconds
        due = time.monotonic() + backoff_seconds(held.failures, first, most) * jitter
        return replace(held, due=due, failures=held.failures + 1, reason=outcome.text)


def backoff_seconds(failures: int, first: float, most: float) -> float:
    """How long a server is left alone that failed after so many failures in a row."""
    return min(first * 2 ** min(failures, 16), most)


def _kind(work: object) -> object:
    """What the work of one round has in common with that of the next."""
    return work.func if isinstance(work, partial) else work


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
