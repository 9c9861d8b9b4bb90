"""The database of the suite: one for each worker of each run, of the kind that DATABASE_URL names."""

from __future__ import annotations

import shutil
import tempfile
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings
from django.db import connections
from psycopg import sql

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

RUN = pytest.StashKey[str]()
"""How the names of all databases of this run begin."""


def on_postgres() -> bool:
    return connections.settings["default"]["ENGINE"] == "django.db.backends.postgresql"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    node.workerinput["aurora_run"] = node.config.stash[RUN]


def pytest_configure(config: pytest.Config) -> None:
    given: dict[str, Any] = getattr(config, "workerinput", {})
    config.stash[RUN] = given.get("aurora_run") or f"aurora_test_{uuid4().hex[:12]}"
    test = connections.settings["default"]["TEST"]
    if on_postgres():
        test["NAME"] = config.stash[RUN]  # pytest-django adds the worker's name
        return
    # In a file, as in earnest: in memory, threads that share it fail instead of waiting.
    folder = tempfile.mkdtemp(prefix="aurora-test-")
    config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
    test["NAME"] = f"{folder}/test.sqlite3"


def pytest_unconfigure(config: pytest.Config) -> None:
    """Drops what a worker that was killed has left."""
    if RUN in config.stash and on_postgres() and not hasattr(config, "workerinput"):
        _drop_all(settings.OPTIONS["DATABASE_URL"], config.stash[RUN])


def _drop_all(url: str, beginning: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [beginning]
        ).fetchall()
        for (name,) in left:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))
