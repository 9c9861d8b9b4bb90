"""The data folder of a start: what is made in it, for whom, and what is said where that fails."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from aurora_site import database
from aurora_site.data_folder import (
    DATABASE,
    BadDataFolder,
    explained,
    prepare,
    prepare_file_elsewhere,
)

SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/aurora/aurora.sqlite3"}


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_folder_of_its_own_is_its_owners_alone(tmp_path):
    folder = prepare(tmp_path / "deep" / "data")
    folder.prepare_database()

    assert (mode_of(folder.path), mode_of(folder.path / DATABASE)) == (0o700, 0o600)


def test_a_database_that_others_could_read_is_shut_to_them(tmp_path):
    """As those of earlier releases."""
    (tmp_path / DATABASE).touch(0o644)
    tmp_path.chmod(0o755)

    prepare(tmp_path).prepare_database()

    assert mode_of(tmp_path / DATABASE) == 0o600


def test_in_a_folder_that_its_group_may_write_the_group_may_use_the_files(tmp_path):
    tmp_path.chmod(0o2770)

    prepare(tmp_path).prepare_database()

    assert mode_of(tmp_path / DATABASE) == 0o660


@pytest.mark.parametrize("folder_mode", [0o700, 0o755, 0o777, 0o2775, 0o1777])
def test_a_database_of_a_url_is_its_owners_alone(tmp_path, folder_mode):
    tmp_path.chmod(folder_mode)
    files = [tmp_path / f"a.sqlite3{end}" for end in ("", "-wal", "-shm")]
    for file in files:
        file.touch(0o644)
    prepare_file_elsewhere(files[0])
    prepare_file_elsewhere(tmp_path / "new.sqlite3")

    assert {mode_of(file) for file in (*files, tmp_path / "new.sqlite3")} == {0o600}


def test_a_file_in_its_place_is_named(tmp_path):
    (tmp_path / "data").touch()

    with pytest.raises(BadDataFolder, match=r"AURORA_DATA_DIR: .*/data: it is no folder"):
        prepare(tmp_path / "data")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.EROFS, "its file system is read-only"),
        (errno.ENOSPC, "its disk is full"),
        (errno.EDQUOT, "its disk quota is used up"),
        (errno.EACCES, f"user {os.geteuid()} of group {os.getegid()} may not write there"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_each_failure_names_the_folder_and_the_mend(number, said):
    told = explained(Path("/srv/aurora"), OSError(number, os.strerror(number)))

    assert told.startswith("AURORA_DATA_DIR: /srv/aurora: ")
    assert said in told


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("database or disk is full", "its disk is full"),
        ("attempt to write a readonly database", "may not be written"),
        ("unable to open database file", "see who owns the folder"),
        ("disk I/O error", "has no locks"),
        ("something\nelse", "something else"),
    ],
)
def test_a_database_file_that_fails_a_start_is_told_of_by_its_folder(error, said):
    told = database.why(SQLITE, Exception(error), variable="AURORA_DATA_DIR")

    assert told.startswith("AURORA_DATA_DIR: /srv/aurora: ")
    assert said in told


def test_a_database_server_that_fails_a_start_is_told_of_by_its_variable():
    postgres = {"ENGINE": "django.db.backends.postgresql", "NAME": "n"}
    told = database.why(postgres, Exception("gone"), variable="DATABASE_URL")

    assert told == "DATABASE_URL: the database fails: gone"


@pytest.mark.parametrize("error", [Exception("disk I/O error"), OSError(errno.ENOSPC, "full")])
def test_a_database_file_that_a_url_names_is_told_of_by_the_url(error):
    told = database.why(SQLITE, error, variable="DATABASE_URL")

    assert told.startswith("DATABASE_URL: /srv/aurora: ")
    assert "AURORA_DATA_DIR" not in told
