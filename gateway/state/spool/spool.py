"""The thread that writes a process's spool: many records, then one sync for all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from gateway.state.spool import folder as folders
from gateway.state.spool import records, segments
from gateway.state.spool.records import Mark, State
from gateway.state.spool.segments import Place, Segment
from gateway.state.values import Copy

SEGMENT_BYTES = 8 * 2**20
"""After this a file gets no more records; it is removed once all of them are written."""
MOST_GROUP_BYTES = 16 * 2**20
log = logging.getLogger("aurora.state")

Put = Callable[[Place | None], None]


@dataclass(frozen=True, slots=True)
class Found:
    """A record that a process which is gone has left."""

    mark: Mark
    place: Place
    is_deleted: bool


class Spool:
    """Belongs to one event loop; methods that are not blocking return at once.

    `most_bytes` bounds what waits in it; it is for the caller to keep to. `is_usable` says whether it
    can be written: it is tried again for each record, and the log tells of a change.
    """

    def __init__(
        self, folder: Path, most_bytes: int, *, segment_bytes: int = SEGMENT_BYTES
    ) -> None:
        self.most_bytes = most_bytes
        self.is_usable = True
        self._folder, self._segment_bytes = folder, segment_bytes
        self._name = uuid.uuid4().hex
        self._count = 0
        self._mode: int | None = None
        self._active: Segment | None = None
        self._open: dict[Path, Segment] = {}
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="aurora-state-spool", daemon=True)
        self._has_started = self._has_stopped = False

    # On the loop.

    def put(self, copy: Copy, is_needed: Callable[[], bool], on_disk: Put) -> None:
        """Have `copy` written and synced; `on_disk` is called on the loop then, with None where that
        failed, or where it was not needed any more once its turn came."""
        self._give(_Job(partial(self._put, copy, is_needed), on_disk, copy.size_bytes))

    def note(self, place: Place, state: State) -> asyncio.Future[None]:
        """Have it noted what has become of a record. Done once that outlives a crash of the system,
        for what was deleted; for what is written at once: to write it again would change nothing."""
        noted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def done(_: object) -> None:
            if not noted.done():
                noted.set_result(None)

        self._give(_Job(partial(self._note, place, state), done))
        return noted

    async def take_over(self) -> list[Found] | None:
        """What waits in one file of a process that is gone, which is this one's from now on; None
        where there is no such file. Once more for the next."""
        found: asyncio.Future[list[Found] | None] = asyncio.get_running_loop().create_future()

        def done(value: list[Found] | None) -> None:
            if not found.done():
                found.set_result(value)

        self._give(_Job(self._take_over, done))
        return await found

    async def close(self, seconds: float) -> bool:
        """Write what was put, and leave what waits to others. Whether that was done in time."""
        self._has_stopped = True
        if not self._has_started:
            return True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join, seconds)
        return not self._thread.is_alive()

    def _give(self, job: _Job) -> None:
        if self._has_stopped:
            job.tell(None)
            return
        if not self._has_started:
            self._has_started = True
            self._thread.start()
        self._jobs.put(job)

    # On any thread.

    def waits_elsewhere(
        self, owner: UUID, *, id: str | None = None, conversation: str | None = None
    ) -> bool:
        """Blocking. Whether a response of `owner` waits in another process's file of this folder: the
        one with this id, or one of this conversation; any, where neither is given."""
        others = folders.files(self._folder, apart=set(self._open))
        return any(folders.waits_in(path, owner, id, conversation) for path in others)

    # On the spool's own thread.

    def _work(self) -> None:
        goes_on = True
        while goes_on:
            group, goes_on = self._next_group()
            touched: set[Segment] = set()
            told = [(job, self._done(job, touched)) for job in group]
            is_synced = self._synced(touched)
            for job, value in told:
                job.hand_over(value if is_synced else self._taken_back(value))
        for segment in self._open.values():
            if segment.waiting:
                segment.close()
            else:
                segment.remove()

    def _taken_back(self, value: object) -> object:
        """What is told of a record that may not be on the disk: it is in no file from now on."""
        if not isinstance(value, Place):
            return value
        self._active = None if value.segment is self._active else self._active
        with contextlib.suppress(OSError):
            self._note(value, State.WRITTEN, set())
        return None

    def _next_group(self) -> tuple[list[_Job], bool]:
        """What is to be done with one sync, and whether more may come."""
        group: list[_Job] = []
        size_bytes = 0
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            size_bytes += job.size_bytes
            if size_bytes > MOST_GROUP_BYTES:
                return group, True
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group, True
        return group, False

    def _done(self, job: _Job, touched: set[Segment]) -> object:
        try:
            value = job.work(touched)
        except OSError as error:
            self._tell(error)
            return None
        if isinstance(value, Place):
            self._tell(None)
        return value

    def _synced(self, touched: set[Segment]) -> bool:
        try:
            for segment in touched:
                segment.sync()
        except OSError as error:
            self._tell(error)
            return False
        return True

    def _tell(self, error: OSError | None) -> None:
        """One line when it begins to fail, and one when it can be written again."""
        if (error is None) == self.is_usable:
            return
        self.is_usable = error is None
        if error is None:
            log.info("the spool of responses in %s can be written again", self._folder)
        else:
            log.warning(
                "the spool of responses in %s cannot be used (%s): responses wait for the database in"
                " memory alone",
                self._folder,
                error.strerror or error,
            )

    def _put(
        self, copy: Copy, is_needed: Callable[[], bool], touched: set[Segment]
    ) -> Place | None:
        if not is_needed():
            return None
        record = records.encoded(copy)
        segment = self._segment()
        place = Place(segment, segment.append(record), len(record))
        touched.add(segment)
        return place

    def _segment(self) -> Segment:
        """The one that is written now. Raises OSError."""
        if self._active is None or self._active.size_bytes >= self._segment_bytes:
            mode = self._prepared()
            self._count += 1
            self._active = segments.create(self._folder, f"{self._name}-{self._count:08}", mode)
            self._open = {**self._open, self._active.path: self._active}
        return self._active

    def _prepared(self) -> int:
        if self._mode is None:
            self._mode = folders.prepare(self._folder)
        return self._mode

    def _note(self, place: Place, state: State, touched: set[Segment]) -> None:
        segment = place.segment
        segment.set_state(place.offset, state)
        if not state & State.WRITTEN:
            touched.add(segment)
            return
        segment.waiting -= 1
        self._let_go(segment)

    def _let_go(self, segment: Segment) -> None:
        """Empty or remove the file if nothing waits in it."""
        if segment.waiting:
            return
        if segment is self._active:
            segment.clear()
        else:
            self._open = {path: each for path, each in self._open.items() if each is not segment}
            segment.remove()

    def _take_over(self, _: set[Segment]) -> list[Found] | None:
        self._segment()  # says at the start whether it can be used
        for path in folders.files(self._folder, apart=set(self._open)):
            segment = segments.take_over(path)
            if segment is not None:
                self._open = {**self._open, path: segment}
                return self._left_in(segment)
        return None

    def _left_in(self, segment: Segment) -> list[Found]:
        found = [
            Found(mark, Place(segment, offset, head.record_bytes), bool(head.state & State.DELETED))
            for offset, head, mark in segment.waiting_records()
        ]
        self._let_go(segment)
        return found


class _Job:
    """What the thread is to do, and who is told of it on the loop."""

    def __init__(
        self,
        work: Callable[[set[Segment]], object],
        tell: Callable[..., None],
        size_bytes: int = 0,
    ) -> None:
        self.work, self.tell, self.size_bytes = work, tell, size_bytes
        self._loop = asyncio.get_running_loop()

    def hand_over(self, value: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self.tell, value)
