"""The folder that the spools of several processes share. Blocking."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from gateway.state.spool import records
from gateway.state.spool.records import HEAD_BYTES, Mark, State
from gateway.state.spool.segments import SUFFIX, heads


def prepare(folder: Path) -> int:
    """Make the folder if it is missing: for its owner alone, or for the group of the data folder
    where that may write there, as in a container whose user changes. The mode of its files.

    Raises OSError.
    """
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    is_shared = bool(folder.parent.stat().st_mode & stat.S_IWGRP)
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid == os.geteuid():
        folder.chmod(0o2770 if is_shared else 0o700)
    return 0o660 if is_shared else 0o600


def files(folder: Path, *, apart: Collection[Path] = ()) -> list[Path]:
    """The files of all spools but these, oldest name first. None where there is no folder."""
    try:
        found = [path for path in folder.iterdir() if path.suffix == SUFFIX]
    except OSError:
        return []
    return sorted(path for path in found if path not in apart)


def waits_in(path: Path, owner: UUID, id: str | None, conversation: str | None) -> bool:
    """Whether a record of `owner` waits there: the one with this id, or one of this conversation;
    any, where neither is given. It may be written meanwhile by the process that it belongs to."""
    for state, mark in _marks(path):
        if mark.owner != owner or state & State.WRITTEN:
            continue
        if id is not None:
            if mark.id == id and not state & State.DELETED:
                return True
        elif conversation is None or mark.conversation == conversation:
            return True
    return False


def _marks(path: Path) -> Iterator[tuple[State, Mark]]:
    with suppress(OSError):  # it is gone: all of it is written
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            for offset, head in heads(descriptor):
                at = offset + HEAD_BYTES
                mark = records.mark_of(os.pread(descriptor, head.mark_bytes, at))
                if mark is None:
                    return
                yield head.state, mark
        finally:
            os.close(descriptor)
