"""Database work beside the loop: some threads, and how much may wait for them.

Not a ThreadPoolExecutor: that one joins its threads when the process ends, so a database that
hangs would hold up the end; and its threads do not close their connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar

from django.db import Error as DatabaseFailure
from django.db import IntegrityError, InterfaceError, OperationalError, connections

from gateway import database_refusals
from gateway.errors import StateUnavailable
from providers.connections import on_this_connection
from providers.database_faults import PASSING, Fault, fault_of

TOO_MUCH_WAITS = "Too much waits for the database. Try again soon."
T = TypeVar("T")
log = logging.getLogger("aurora.state")


class Lane:
    """Threads with a connection each. `waiting` bounds the jobs that are asked for and not done.

    A database that hangs holds these threads and these jobs, and no more than these.
    """

    def __init__(
        self, name: str, *, threads: int, waiting: int, seconds: float, logs: bool = True
    ) -> None:
        """`logs`: whether an outage is told; not where somebody else tells of the same one."""
        self._seconds, self._logs = seconds, logs
        self._places = threading.BoundedSemaphore(waiting)
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}_{number}", daemon=True)
            for number in range(threads)
        ]
        self._has_started = self._has_stopped = False
        self._is_well = True

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work` gives.

        Raises StateUnavailable when the database fails, nothing comes in time, or too much waits.
        What has not begun by then is never done; what has begun may yet be.
        """
        job = self._asked(work, arguments)
        try:
            await asyncio.wait({job.outcome}, timeout=self._seconds)
            if not job.outcome.done() and not job.has_begun:
                raise StateUnavailable(TOO_MUCH_WAITS)  # for others of ours, which take their time
            if not job.outcome.done():
                raise OperationalError(f"no answer within {self._seconds:g} s")
            done = job.outcome.result()
        except DatabaseFailure as error:
            self._tell(error)
            raise database_refusals.of_state(fault_of(error)) from error
        finally:
            job.give_up()
        self._tell(None)
        return done

    async def run_to_the_end(self, work: Callable[..., T], *arguments: object) -> T:
        """What `work` gives, however long it takes. Raises a database failure as it is."""
        try:
            done = await self._asked(work, arguments).outcome
        except DatabaseFailure as error:
            self._tell(error)
            raise
        self._tell(None)
        return done

    async def stop(self, seconds: float) -> bool:
        """Whether all threads have ended in time, their connections closed."""
        self._has_stopped = True
        if not self._has_started:
            return True
        for _ in self._threads:
            self._jobs.put(None)
        return await asyncio.to_thread(self._have_ended, seconds)

    def _have_ended(self, seconds: float) -> bool:
        end = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _asked(self, work: Callable[..., T], arguments: tuple[object, ...]) -> _Job[T]:
        if self._has_stopped or not self._places.acquire(blocking=False):
            raise StateUnavailable(TOO_MUCH_WAITS)
        if not self._has_started:
            self._has_started = True
            for thread in self._threads:
                thread.start()
        job = _Job(partial(work, *arguments))
        self._jobs.put(job)
        return job

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            tell = job.run()
            self._places.release()
            job.hand_over(tell)
            del job, tell  # what they hold must not stay until the next one comes
        connections.close_all()

    def _tell(self, error: DatabaseFailure | None) -> None:
        """One line when the database begins to fail, or to refuse all, and one when that is over."""
        fault = None if error is None else fault_of(error)
        if fault in (*PASSING, Fault.OTHER) or (error is None) == self._is_well:
            return
        self._is_well = error is None
        if not self._logs:
            return
        if error is None:
            log.info("the database of responses and conversations answers again")
        elif fault is Fault.FAILS:
            log.error("the database of responses and conversations fails: %s", named(error))
        else:
            what = "the database of responses and conversations works, but"
            log.error("%s %s: %s", what, fault.value if fault else "", named(error))


class _Job(Generic[T]):
    """What a thread is to do. Given up, it holds nothing, and if it has not begun it never does."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work: Callable[[], T] | None = work
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[T] = self._loop.create_future()

    @property
    def has_begun(self) -> bool:
        return self._work is None

    def give_up(self) -> None:
        self._work = None
        if not self.outcome.cancel() and not self.outcome.cancelled():
            self.outcome.exception()  # else asyncio complains of one that nobody asked for

    def run(self) -> Callable[[], object]:
        """What is to be done on the loop once the work is done."""
        work, self._work = self._work, None
        if work is None:
            return self.give_up
        try:
            return partial(self._give, in_database(work))
        except BaseException as error:  # noqa: BLE001 - whatever it is, the one who waits is told
            return partial(self._fail, error)

    def hand_over(self, tell: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(tell)

    def _give(self, done: T) -> None:
        if not self.outcome.done():
            self.outcome.set_result(done)

    def _fail(self, error: BaseException) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


def in_database(work: Callable[[], T]) -> T:
    """What `work` gives, on this thread's connection.

    It is repeated once where the connection proved broken, and where another process wrote the
    same row at the same moment; so repeating must not do it twice.
    """
    try:
        return on_this_connection(work)
    except IntegrityError:
        return work()


def named(error: DatabaseFailure) -> str:
    """What the log may say of it. Other kinds than these quote the row, and so callers' words."""
    kind = type(error).__name__
    if isinstance(error, OperationalError | InterfaceError):
        return f"{kind}: {str(error).splitlines()[0] if str(error) else ''}"
    return kind
