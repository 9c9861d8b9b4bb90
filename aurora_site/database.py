"""Django's setting of the database, for a URL or for the file in the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ


def of_url(url: str, folder: Path) -> dict[str, Any]:
    """`url` is one that `database_url` has checked. A file's path is relative to `folder`."""
    found: dict[str, Any] = environ.Env.db_url_config(url)
    if found["ENGINE"] == "django.db.backends.sqlite3":
        found["NAME"] = str(folder / Path(found["NAME"]).expanduser())
    return found


def of_file(file: Path) -> dict[str, Any]:
    """Without a URL between, which gives some characters of a path another meaning."""
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(file)}
