"""The responses that this process generates in the background, from their start to their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from gateway.client import Send
from gateway.errors import (
    GatewayError,
    NotReady,
    StateUnavailable,
    TooManyInBackground,
    UpstreamBroke,
)
from gateway.memory import Charge, Memory
from gateway.offload import Offload
from gateway.runs.pace import Pace
from gateway.runs.run import Ended, Run
from gateway.runs.taking import Taking
from gateway.standing import CHECK_SECONDS
from gateway.state import endings
from gateway.state.store import Store
from gateway.state.values import Copy

MOST_RUNS = 100
MOST_WAITING_REQUEST_BYTES = 256 * 2**20
"""Of the calls of all runs that wait for their answer."""
STOPPING = "Aurora is stopping: it begins nothing in the background."
UNKEPT = "Aurora failed to keep this response."

Work = Callable[[Send, Run], Awaitable[None]]
"""Sends the call, and hands its answer to `send` as to a client. Raises GatewayError."""

log = logging.getLogger("aurora.runs")


class Runs:
    """Belongs to one event loop.

    `most` bounds how many run at once; one owner has half of these places.
    """

    def __init__(
        self,
        store: Store,
        most: int = MOST_RUNS,
        *,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        offload: Offload | None = None,
        memory: Memory | None = None,
        stands: Callable[[UUID], bool] = lambda _: True,
    ) -> None:
        """`stands` says whether an owner has a usable key: without one, what runs is cancelled."""
        self._store, self._most, self.pace = store, most, pace
        self._offload, self._memory = offload or Offload(), memory
        self._stands = stands
        self._runs: dict[tuple[UUID, str], Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._working: dict[Run, asyncio.Task[None]] = {}
        self._starting: set[Run] = set()
        self._is_stopping = False

    def find(self, owner: UUID, id: str) -> Run | None:
        """The one of this id, if it is this process that generates it."""
        return self._runs.get((owner, id))

    async def start(self, queued: Copy, work: Work, request_bytes: int = 0) -> None:
        """Once its row is there, it runs on whoever leaves. `request_bytes` are held until the
        answer begins.

        Raises TooManyInBackground, MemoryFull, NotReady where Aurora is stopping, and what `Store.begin` raises.
        """
        if self._is_stopping:
            raise NotReady(STOPPING)
        run = Run(queued, request_bytes, Charge(self._memory))
        self._check_room(run)
        run.charge.hold_body(request_bytes)
        self._starting.add(run)
        try:
            await self._store.begin(queued)
        except BaseException:  # whoever is cancelled gives back what it held, too
            run.charge.free()
            raise
        finally:
            self._starting.discard(run)
        self._runs[queued.owner, queued.id] = run
        self._working[run] = asyncio.create_task(self._work(run, work))
        task = asyncio.create_task(self._carry_out(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._is_stopping:  # since its row began to be written
            await self._end_unbegun(run, task)

    async def _end_unbegun(self, run: Run, carrying: asyncio.Task[None]) -> None:
        """Fail a response whose call has not been sent, and never is. Raises NotReady."""
        self.end(run, Ended.STOPPED)
        await asyncio.wait({carrying}, timeout=self.pace.stop_seconds)
        raise NotReady(STOPPING)

    def _check_room(self, run: Run) -> None:
        """Raises TooManyInBackground."""
        known = [*self._runs.values(), *self._starting]
        if len(known) >= self._most:
            raise TooManyInBackground(
                f"{self._most} responses are being generated in the background here."
            )
        share = max(1, self._most // 2)
        if sum(each.copy.owner == run.copy.owner for each in known) >= share:
            raise TooManyInBackground(
                f"{share} responses of this key are being generated in the background here, "
                "and one key may have no more."
            )
        waiting_bytes = sum(each.request_bytes for each in known)
        if waiting_bytes and waiting_bytes + run.request_bytes > MOST_WAITING_REQUEST_BYTES:
            raise TooManyInBackground(
                f"Calls of {waiting_bytes} bytes wait in the background here for their answers, "
                f"and with this one there would be more than {MOST_WAITING_REQUEST_BYTES}."
            )

    def end(self, run: Run, why: Ended) -> None:
        """End it before its server does. Its connection closes at once."""
        working = self._working.get(run)
        if run.ended is None and working is not None:
            run.ended = why
            working.cancel()

    async def stop(self) -> None:
        """Fail those that run, with a reason, within `stop_seconds`; none begins any more."""
        self._is_stopping = True
        for run in list(self._runs.values()):
            self.end(run, Ended.STOPPED)
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=self.pace.stop_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _carry_out(self, run: Run) -> None:
        beating = asyncio.create_task(self._beat(run))
        try:
            await self._worked(run, self._working[run])
            await beating  # it is within its last batch at most
            await self._finish(run)
        finally:
            beating.cancel()
            self._working.pop(run).cancel()
            run.be_over()
            run.charge.free()
            self._runs.pop((run.copy.owner, run.copy.id), None)

    async def _worked(self, run: Run, working: asyncio.Task[None]) -> None:
        final = asyncio.create_task(run.finality.wait())
        try:
            await self._until_over(run, {working, final})
            await asyncio.wait({working}, timeout=self.pace.linger_seconds)
        finally:
            final.cancel()
        working.cancel()
        await asyncio.wait({working})
        run.begun()
        self._conclude(run)

    async def _until_over(self, run: Run, over: set[asyncio.Task[Any]]) -> None:
        """Until one of `over` is done; or end it, where it takes too long or its owner is none now."""
        clock = asyncio.get_running_loop().time
        until = clock() + self.pace.run_seconds
        while (left := until - clock()) > 0:
            pause = min(left, CHECK_SECONDS)
            done, _ = await asyncio.wait(over, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            if done:
                return
            if not self._stands(run.copy.owner):
                self.end(run, Ended.KEY_OVER)
                return
        self.end(run, Ended.TOO_LONG)

    async def _work(self, run: Run, work: Work) -> None:
        try:
            await work(Taking(run, self._offload).send, run)
        except GatewayError as error:
            run.fail(error)
        except Exception:  # whoever waits for this response must be told; the log has the traceback
            log.exception("the response %s failed within Aurora", run.copy.id)
            run.fail(GatewayError("Aurora failed to handle this call."))

    def _conclude(self, run: Run) -> None:
        """An end for what has none: nothing after this changes how it stands."""
        if run.ended in {Ended.CANCELLED, Ended.DELETED, Ended.KEY_OVER}:
            run.cancel()
        elif run.ended is Ended.STOPPED:
            run.fail(endings.stopped())
        elif run.ended is Ended.TOO_LONG:
            seconds = self.pace.run_seconds
            run.fail(
                UpstreamBroke(
                    f"The response was given up: it was not finished after {seconds:g} s."
                )
            )
        else:
            run.fail(UpstreamBroke("The server's stream ended before the response did."))

    async def _beat(self, run: Run) -> None:
        """Until the run is final: write what is new, and renew the lease.

        Never cancelled within a batch: the database would have it, and this would not know.
        """
        clock = asyncio.get_running_loop().time
        beaten_at = clock()
        while not run.is_final:
            await run.until_batch(self.pace.batch_seconds)
            if run.has_news or clock() - beaten_at >= self.pace.beat_seconds:
                await self._beat_once(run)
                beaten_at = clock()

    async def _beat_once(self, run: Run) -> None:
        try:
            await self._write(run)
        except StateUnavailable:  # what stays is tried again
            await run.until_final(self.pace.batch_seconds)
        except Exception:  # it may not go on as if it were kept; the log has the traceback
            log.exception("the response %s cannot be kept", run.copy.id)
            run.give_up(GatewayError(UNKEPT))
            self.end(run, Ended.UNKEPT)

    async def _write(self, run: Run) -> None:
        """Write one batch. Raises StateUnavailable."""
        batch, copy = run.batch(), run.copy
        is_to_stop = await self._store.beat(
            copy.owner, copy.id, body=batch.body, status=batch.status, events=batch.events
        )
        run.taken(batch)
        if is_to_stop:
            self.end(run, Ended.CANCELLED)

    async def _finish(self, run: Run) -> None:
        """Keep its end; where that fails for a reason of its own, keep that it failed."""
        for _ in range(2):
            try:
                await self._keep_end(run)
                return
            except Exception:  # a response may not be left as if it ran; the log has the traceback
                log.exception("the end of the response %s cannot be kept as it is", run.copy.id)
                run.give_up(GatewayError(UNKEPT))

    async def _keep_end(self, run: Run) -> None:
        """Readers are told it after the first try at the latest."""
        for pause_seconds in (*self.pace.finish_pauses_seconds, None):
            try:
                await self._finished(run)
                return
            except StateUnavailable:
                run.be_over()
            if pause_seconds is None or self._is_stopping:
                break
            await asyncio.sleep(pause_seconds)
        log.error("the end of the response %s could not be kept", run.copy.id)

    async def _finished(self, run: Run) -> None:
        """Raises StateUnavailable."""
        if run.ended is Ended.DELETED:
            return
        while not run.batch().is_last:
            await self._write(run)
        await self._store.finish(run.copy, [*run.batch().events, *run.closing])
