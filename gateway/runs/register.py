"""The responses that this process generates in the background, from their start to their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from gateway.client import Send
from gateway.errors import (
    GatewayError,
    NotReady,
    StateUnavailable,
    TooManyInBackground,
    UpstreamBroke,
)
from gateway.runs.run import Ended, Run
from gateway.runs.taking import Taking
from gateway.state.store import Store
from gateway.state.values import Copy

MOST_RUNS = 100
BATCH_SECONDS = 0.25
BEAT_SECONDS = 1.0
"""The lease is renewed this often, and so a cancel that another process was asked for is seen."""
LINGER_SECONDS = 1.0
"""What a server gets to end its stream after its last event, so that its connection can be kept."""
FINISH_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
"""Before each further try to write an end; after the last one it is lost."""
STOP_SECONDS = 5.0

Work = Callable[[Send, Run], Awaitable[None]]
"""Sends the call, and hands its answer to `send` as to a client. Raises GatewayError."""

log = logging.getLogger("aurora.runs")


class Runs:
    """Belongs to one event loop. `most` bounds how many run at once."""

    def __init__(self, store: Store, most: int = MOST_RUNS) -> None:
        self._store, self._most = store, most
        self._runs: dict[tuple[UUID, str], Run] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._working: dict[Run, asyncio.Task[None]] = {}
        self._starting = 0
        self._is_stopping = False

    def find(self, owner: UUID, id: str) -> Run | None:
        """The one of this id, if it is this process that generates it."""
        return self._runs.get((owner, id))

    async def start(self, queued: Copy, work: Work) -> Run:
        """Once its row is there, it runs on whoever leaves.

        Raises TooManyInBackground, NotReady where Aurora is stopping, and what `Store.begin` raises.
        """
        if self._is_stopping:
            raise NotReady("Aurora is stopping: it begins nothing in the background.")
        if len(self._runs) + self._starting >= self._most:
            raise TooManyInBackground(
                f"{self._most} responses are being generated in the background here."
            )
        self._starting += 1
        try:
            await self._store.begin(queued)
        finally:
            self._starting -= 1
        run = Run(queued)
        self._runs[queued.owner, queued.id] = run
        self._working[run] = asyncio.create_task(self._work(run, work))
        task = asyncio.create_task(self._carry_out(run))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return run

    def end(self, run: Run, why: Ended) -> None:
        """End it before its server does. Its connection closes at once."""
        working = self._working.get(run)
        if run.ended is None and working is not None:
            run.ended = why
            working.cancel()

    async def stop(self) -> None:
        """Fail those that run, with a reason, within STOP_SECONDS; none begins any more."""
        self._is_stopping = True
        for run in list(self._runs.values()):
            self.end(run, Ended.STOPPED)
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=STOP_SECONDS)
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
            self._runs.pop((run.copy.owner, run.copy.id), None)

    async def _worked(self, run: Run, working: asyncio.Task[None]) -> None:
        final = asyncio.create_task(run.finality.wait())
        try:
            await asyncio.wait({working, final}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({working}, timeout=LINGER_SECONDS)
        finally:
            final.cancel()
        working.cancel()
        await asyncio.wait({working})
        self._conclude(run)

    async def _work(self, run: Run, work: Work) -> None:
        try:
            await work(Taking(run).send, run)
        except GatewayError as error:
            run.fail(error)
        except Exception:  # whoever waits for this response must be told; the log has the traceback
            log.exception("the response %s failed within Aurora", run.copy.id)
            run.fail(GatewayError("Aurora failed to handle this call."))

    def _conclude(self, run: Run) -> None:
        """An end for what has none: nothing after this changes how it stands."""
        if run.ended in {Ended.CANCELLED, Ended.DELETED}:
            run.cancel()
        elif run.ended is Ended.STOPPED:
            run.fail(NotReady("Aurora was stopped while it generated this response."))
        else:
            run.fail(UpstreamBroke("The server's stream ended before the response did."))

    async def _beat(self, run: Run) -> None:
        """Until the run is final: write what is new a few times a second, and renew the lease.

        Never cancelled within a batch: the database would have it, and this would not know.
        """
        clock = asyncio.get_running_loop().time
        beaten_at = clock()
        while not run.is_final:
            try:
                await asyncio.wait_for(run.finality.wait(), BATCH_SECONDS)
            except TimeoutError:
                if run.has_news or clock() - beaten_at >= BEAT_SECONDS:
                    with contextlib.suppress(StateUnavailable):  # what stays is tried again
                        await self._write(run)
                    beaten_at = clock()

    async def _write(self, run: Run) -> bool:
        """Write one batch. Whether it was the last. Raises StateUnavailable."""
        batch, copy = run.batch(), run.copy
        is_to_stop = await self._store.beat(
            copy.owner, copy.id, body=batch.body, status=batch.status, events=batch.events
        )
        run.taken(batch)
        if is_to_stop:
            self.end(run, Ended.CANCELLED)
        return batch.is_last

    async def _finish(self, run: Run) -> None:
        """Keep its end. Readers are told it after the first try at the latest."""
        for pause_seconds in (*FINISH_PAUSES_SECONDS, None):
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
