"""The data folder: who may read what lies in it, and what is wrong with one that cannot be used.

Its files are their owner's alone. Where the folder's group may write in it, as in a container whose
user id changes from start to start, the group may use them too; others never.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

DATABASE = "aurora.sqlite3"
VARIABLE = "AURORA_DATA_DIR"
MENDS: Mapping[int, str] = {
    errno.EROFS: "its file system is read-only: mount it writable, or name another folder",
    errno.ENOSPC: "its disk is full: make room, or name another folder",
    errno.EDQUOT: "its disk quota is used up: make room, or name another folder",
    errno.ENOTDIR: "it is no folder, or lies below a file: name another folder",
    errno.EEXIST: "it is no folder, or lies below a file: name another folder",
}


class BadDataFolder(ValueError):
    """It cannot be used. The text names the variable, the folder and the mend."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A folder that is there and writable."""

    path: Path
    is_shared: bool
    """Whether its group may write in it."""

    @property
    def database_mode(self) -> int:
        return 0o660 if self.is_shared else 0o600

    @property
    def keyring_mode(self) -> int:
        return 0o640 if self.is_shared else 0o600

    def prepare_database(self) -> None:
        """Make its file, empty, if it is missing, and let nobody read it who should not: SQLite
        itself would let everybody."""
        prepare_database_file(self.path / DATABASE, self.database_mode)


def prepare_file_elsewhere(path: Path) -> None:
    """The same of an SQLite file in a folder of the operator's: his group may use it only where the
    process itself writes in the folder by its group. One as /tmp is shared with nobody."""
    folder = path.parent.stat()
    by_group = folder.st_uid != os.geteuid() and folder.st_mode & stat.S_IWGRP
    is_shared = bool(by_group) and not folder.st_mode & stat.S_ISVTX
    prepare_database_file(path, DataFolder(path.parent, is_shared).database_mode)


def prepare_database_file(path: Path, mode: int) -> None:
    """Also of the files beside it, which SQLite makes with its mode, and releases before did not."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    for each in (path, *(path.with_name(f"{path.name}{end}") for end in ("-wal", "-shm"))):
        with suppress(FileNotFoundError):
            status = each.stat()
            if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != mode:
                each.chmod(mode)


def prepare(path: Path) -> DataFolder:
    """Make the folder if it is missing. Raises BadDataFolder where nothing can be written in it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(b"x")
        return DataFolder(path, bool(path.stat().st_mode & stat.S_IWGRP))
    except OSError as error:
        raise BadDataFolder(explained(path, error)) from error


def explained(path: Path, error: OSError, *, variable: str = VARIABLE) -> str:
    """What is wrong with `path`, which `variable` names, and what mends it."""
    if error.errno in {errno.EACCES, errno.EPERM}:
        mend = (
            f"user {os.geteuid()} of group {os.getegid()} may not write there: give the folder to"
            " that user, or let its group write in it (chgrp, chmod g+rwxs)"
        )
    else:
        mend = MENDS.get(error.errno or 0, error.strerror or str(error))
    return f"{variable}: {path}: {mend}"
