"""Django's setting of the database, for a URL or for the file in the data folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import environ

from aurora_site import data_folder
from aurora_site.environment.showing import Hidden

SECRETS = {"PASSWORD", "password", "sslpassword"}


class BadDatabase(ValueError):
    """DATABASE_URL names a file that cannot be. The text says why."""


def of_url(url: str, folder: Path) -> dict[str, Any]:
    """`url` is one that `database_url` has checked. A file's path is relative to `folder`. The
    passwords in it are in no `repr`.

    Raises BadDatabase where the file could not be made, before anything is.
    """
    found: dict[str, Any] = environ.Env.db_url_config(url)
    if found["ENGINE"] == "django.db.backends.sqlite3":
        file = folder / Path(found["NAME"]).expanduser()
        if not file.parent.is_dir() or file.is_dir():
            wrong = f"{file} is a folder" if file.is_dir() else f"there is no folder {file.parent}"
            raise BadDatabase(f"DATABASE_URL: {wrong}: name a file in a folder that is there")
        found["NAME"] = str(file)
    return _without_shown_secrets(found)


def _without_shown_secrets(setting: Mapping[str, Any]) -> dict[str, Any]:
    """Also of what the URL's query hands to the driver."""
    hidden = {name: Hidden(setting[name]) for name in SECRETS & setting.keys()}
    inner = {name: value for name, value in setting.items() if isinstance(value, dict)}
    return {
        **setting,
        **hidden,
        **{name: _without_shown_secrets(value) for name, value in inner.items()},
    }


def of_file(file: Path) -> dict[str, Any]:
    """Without a URL between, which gives some characters of a path another meaning."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}


SQLITE_MENDS = {
    "unable to open database file": "the file cannot be made or opened: see who owns the folder",
    "attempt to write a readonly database": "the file may not be written: see who owns it",
    "database or disk is full": "its disk is full: make room, or name another folder",
    "disk I/O error": "its disk fails, or its file system has no locks: use a local disk, or"
    " PostgreSQL by DATABASE_URL",
    "locking protocol": "its file system has no locks: use a local disk, or PostgreSQL by"
    " DATABASE_URL",
    "database is locked": "another program holds it locked",
}


def why(setting: Mapping[str, Any], error: Exception, *, variable: str) -> str:
    """What is wrong with the database of this `setting` that failed a start, in one line:
    `variable`, which names the database, the folder where it is a file, and the mend."""
    said = " ".join(str(error).split())
    if setting["ENGINE"] != "django.db.backends.sqlite3":
        return f"{variable}: the database fails: {said}"
    folder = Path(setting["NAME"]).parent
    if isinstance(error, OSError):
        return data_folder.explained(folder, error, variable=variable)
    mend = next((mend for text, mend in SQLITE_MENDS.items() if text in said), said)
    return f"{variable}: {folder}: {mend}"
