"""The thread beside the calls: it keeps the snapshot fresh, asks and probes servers, and writes
key use.

It has its own event loop, and database connections on threads of their own, so neither a slow
database nor a slow server holds up a call. What is urgent, a key's end first of all, has a
connection that nothing else uses. Where the database fails, the last snapshot stays.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass

from django.db import Error as DatabaseFailure

from providers.asking import RECHECK_SECONDS, Asking, Pace
from providers.catalog import Catalog
from providers.database_faults import PASSING, Fault, fault_of
from providers.database_thread import DatabaseThread
from providers.key_use import KeyUse
from providers.probing import Prober
from providers.probing.prober import EXCHANGE_SECONDS, IDLE_EXCHANGE_SECONDS, LOOK_AROUND_SECONDS
from providers.rechecks import Rechecks
from providers.watching import Watching

log = logging.getLogger("aurora.background")


@dataclass(frozen=True, slots=True)
class Rounds:
    """Seconds between two rounds of the same work, and before a failing server is asked again."""

    watch_seconds: float = 0.25
    """Where changes do not make themselves heard (`notices`)."""
    ask_seconds: float = 0.5
    key_use_seconds: float = 5.0
    exchange_seconds: float = EXCHANGE_SECONDS
    idle_exchange_seconds: float = IDLE_EXCHANGE_SECONDS
    gap_seconds: float = 0.1
    """Between two exchanges at least, whatever has come about."""
    look_around_seconds: float = LOOK_AROUND_SECONDS
    first_retry_seconds: float = 1.0
    gather_seconds: float = 0.2
    """While answers of servers gather that are kept together."""


USUAL_ROUNDS = Rounds()


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
        self._key_use, self._prober, self._rounds = key_use, prober, rounds
        self._rechecks = rechecks or Rechecks()
        pace = Pace(discovery_seconds, rounds.first_retry_seconds, recheck_seconds)
        self._asking = Asking(
            catalog,
            self._rechecks,
            self._guarded,
            pace,
            turn_log=prober.turn_log,
            others_ask=lambda: prober.follows,
        )
        self._watching = Watching(catalog, self._asking.ask_those_due)
        self._for_probing, self._for_key_use = DatabaseThread("probing"), DatabaseThread("key-use")
        self._threads = (
            *self._watching.threads,
            self._asking.thread,
            self._for_probing,
            self._for_key_use,
        )
        self._failing: set[object] = set()
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
        return not (self._thread.is_alive() or any(each.waits for each in self._threads))

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rechecks.listen(self._hear_of_recheck)
        self._running.set()
        rounds = [asyncio.create_task(round) for round in self._all_rounds()]
        await self._stop.wait()
        self._rechecks.stop_listening()
        for task in rounds:
            task.cancel()
        await asyncio.gather(*rounds, self._asking.stop(), return_exceptions=True)
        self._prober.turn_log.write()
        await self._guarded(self._write_key_use)
        await self._guarded(self._leave)
        await asyncio.gather(*(self._guarded(each.close) for each in self._threads))

    def _all_rounds(self) -> list[Coroutine[None, None, None]]:
        every, watching = self._rounds, self._watching
        return [
            watching.notices.listen(),
            self._watch(),
            self._repeat(watching.read, every.watch_seconds),
            self._repeat(self._ask_those_due, every.ask_seconds),
            self._repeat(self._asking.keep, every.gather_seconds),
            self._repeat(self._write_key_use, every.key_use_seconds),
            self._exchange_again_and_again(),
            self._repeat(self._prober.look_around, every.look_around_seconds),
        ]

    async def _watch(self) -> None:
        while True:
            await self._guarded(self._watching.look)
            await self._watching.until_due(self._rounds.watch_seconds)

    async def _exchange_again_and_again(self) -> None:
        every = self._rounds
        while True:
            await self._guarded(self._exchange)
            await asyncio.sleep(every.gap_seconds)
            await self._prober.until_exchange(every.exchange_seconds, every.idle_exchange_seconds)

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
            self._note_fault(work, error)
        except Exception:  # whatever goes wrong in one round, the next must still come
            log.exception("a round of background work failed")
        else:
            was_failing = bool(self._failing)
            self._failing.discard(work)
            if work == self._exchange:  # there may be no more answers to keep
                self._failing.discard(self._asking.keep)
            if was_failing and not self._failing:
                log.info("the database answers again")

    def _note_fault(self, work: object, error: DatabaseFailure) -> None:
        """What passes by itself, such as a lock of somebody else's, is left to the next round."""
        fault = fault_of(error)
        if fault in PASSING:
            log.warning("a round of background work is left to the next: %s", fault.value)
            return
        if not self._failing and fault is Fault.FAILS:
            log.error("the database fails, calls go on with what is known: %s", error)
        elif not self._failing:
            what = "the database works, and calls go on with what is known, but"
            log.error("%s %s: %s", what, fault.value, error)
        self._failing.add(work)

    async def _ask_those_due(self) -> None:
        self._asking.ask_those_due()

    async def _write_key_use(self) -> None:
        await self._for_key_use.run(self._key_use.write)

    async def _exchange(self) -> None:
        self._watching.note(await self._prober.exchange(self._for_probing.run))

    async def _leave(self) -> None:
        await self._prober.stop(self._for_probing.run)

    def _hear_of_recheck(self) -> None:
        """From any thread."""
        self._loop.call_soon_threadsafe(self._asking.ask_those_due)
