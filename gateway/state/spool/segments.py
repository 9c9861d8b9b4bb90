"""The files of a spool. Each is locked by the process that has it open; nothing else may write it.

Blocking. Methods raise OSError.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway.state.spool import records
from gateway.state.spool.records import HEAD_BYTES, Head, Mark, State
from gateway.state.values import Copy

SUFFIX = ".spool"
_UNFINISHED = ".new"


class Segment:
    """An open file, and how many of its records still wait."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor
        self.size_bytes = os.fstat(descriptor).st_size
        self.waiting = 0

    def append(self, record: bytes) -> int:
        """Where it stands. When this raises, the file is as it was."""
        offset, written = self.size_bytes, 0
        try:
            while written < len(record):
                written += os.pwrite(self._descriptor, record[written:], offset + written)
        except OSError:
            os.ftruncate(self._descriptor, offset)
            raise
        self.size_bytes += len(record)
        self.waiting += 1
        return offset

    def set_state(self, offset: int, state: State) -> None:
        os.pwrite(self._descriptor, bytes([state]), offset + records.STATE_AT)

    def sync(self) -> None:
        """Return once all that was written outlives a crash of the system."""
        os.fdatasync(self._descriptor)

    def read(self, offset: int, size_bytes: int) -> Copy | None:
        """None: the record is damaged."""
        return records.copy_of(os.pread(self._descriptor, size_bytes, offset))

    def waiting_records(self) -> Iterator[tuple[int, Head, Mark]]:
        """Each whole record that is not written, with where it stands. Sets `waiting`."""
        self.waiting = 0
        for offset, head in heads(self._descriptor):
            if head.state & State.WRITTEN:
                continue
            behind = offset + HEAD_BYTES
            parts = os.pread(self._descriptor, head.mark_bytes + head.rest_bytes, behind)
            mark = records.mark_of(parts[: head.mark_bytes])
            if mark is not None and records.is_whole(head, parts):
                self.waiting += 1
                yield offset, head, mark

    def clear(self) -> None:
        """Begin anew: none of its records waits."""
        if self.size_bytes:
            os.ftruncate(self._descriptor, 0)
            self.size_bytes = 0

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Another process may take it over."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands, until it is written."""

    segment: Segment
    offset: int
    size_bytes: int

    def read(self) -> Copy | None:
        """None: the record is damaged. Raises OSError."""
        return self.segment.read(self.offset, self.size_bytes)


def create(folder: Path, name: str, mode: int) -> Segment:
    """A new file, locked before anybody can see it under its name."""
    unfinished = folder / f"{name}{_UNFINISHED}"
    descriptor = os.open(unfinished, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        os.fchmod(descriptor, mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = folder / f"{name}{SUFFIX}"
        unfinished.rename(path)
        _sync_folder(folder)
        return Segment(path, descriptor)
    except OSError:
        os.close(descriptor)
        unfinished.unlink(missing_ok=True)
        raise


def take_over(path: Path) -> Segment | None:
    """The file of a process that is gone; None where it lives, or another was here first."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return Segment(path, descriptor)
    except BlockingIOError:
        pass
    except OSError:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def heads(descriptor: int) -> Iterator[tuple[int, Head]]:
    """The head of each record, with where it stands; up to the first that is none."""
    offset = 0
    while (head := records.head_of(os.pread(descriptor, HEAD_BYTES, offset))) is not None:
        yield offset, head
        offset += head.record_bytes


def _sync_folder(folder: Path) -> None:
    """So that the file's name, too, outlives a crash of the system."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
