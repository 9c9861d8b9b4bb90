"""A database for each test, of the kind that the suite itself runs on; and ways to lose it."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg import sql

from tests.patience import PATIENCE_SECONDS

FILE_NAME = "aurora.sqlite3"
READ_BY_CALLS = ("providers_revision", "providers_provider", "providers_apikey")


class Database(Protocol):
    """`settings` are the variables that make Aurora use it."""

    @property
    def settings(self) -> Mapping[str, str]: ...

    def copy(self, folder: Path) -> Database:
        """Another one with the same content, its files in `folder`. Nobody may be using this."""

    def drop(self) -> None: ...

    def execute(self, statement: str) -> None:
        """SQL, past every process of Aurora's."""

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Every change waits for the length of a `with` (on PostgreSQL every reading, too)."""

    def gone(self) -> contextlib.AbstractContextManager[None]:
        """Nobody reaches it for the length of a `with`."""


@dataclass(frozen=True)
class Sqlite:
    """A data folder."""

    folder: Path

    @property
    def settings(self) -> Mapping[str, str]:
        return {"AURORA_DATA_DIR": str(self.folder)}

    def copy(self, folder: Path) -> Sqlite:
        folder.mkdir()
        shutil.copy2(self.folder / FILE_NAME, folder)
        return Sqlite(folder)

    def drop(self) -> None:
        """The folder is a test's own."""

    def execute(self, statement: str) -> None:
        with self._connected() as connection:
            connection.execute(statement)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        with self._connected() as connection:
            connection.execute("BEGIN EXCLUSIVE")
            yield
            connection.execute("ROLLBACK")

    def _connected(self) -> contextlib.closing[sqlite3.Connection]:
        file = self.folder / FILE_NAME
        return contextlib.closing(
            sqlite3.connect(file, isolation_level=None, timeout=PATIENCE_SECONDS)
        )

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        elsewhere = self.folder.with_name(f"{self.folder.name}.elsewhere")
        self.folder.rename(elsewhere)
        try:
            yield
        finally:
            elsewhere.rename(self.folder)


@dataclass(frozen=True)
class Postgres:
    """A database of its own on the server of the suite's; `root_url` is one there that stays.

    Its name begins with the run's: whatever becomes of the test, it is dropped as the run ends.
    """

    root_url: str
    secret_keys: str
    run: str
    name: str
    folder: Path

    @classmethod
    def create(
        cls, root_url: str, secret_keys: str, run: str, folder: Path, template: str = "template1"
    ) -> Postgres:
        made = cls(root_url, secret_keys, run, f"{run}_{uuid4().hex[:12]}", folder)
        made._as_root("CREATE DATABASE {} TEMPLATE {}", made.name, template)
        return made

    @property
    def url(self) -> str:
        return urlsplit(self.root_url)._replace(path=f"/{self.name}").geturl()

    @property
    def settings(self) -> Mapping[str, str]:
        return {
            "DATABASE_URL": self.url,
            "AURORA_SECRET_KEYS": self.secret_keys,
            "AURORA_DATA_DIR": str(self.folder),
        }

    def copy(self, folder: Path) -> Postgres:
        return self.create(self.root_url, self.secret_keys, self.run, folder, template=self.name)

    def drop(self) -> None:
        self._as_root("DROP DATABASE {} WITH (FORCE)", self.name)

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement))

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        tables = sql.SQL(", ").join(map(sql.Identifier, READ_BY_CALLS))
        with psycopg.connect(self.url) as connection:
            connection.execute(sql.SQL("LOCK TABLE {}").format(tables))
            yield

    @contextlib.contextmanager
    def gone(self) -> Iterator[None]:
        self._as_root("ALTER DATABASE {} ALLOW_CONNECTIONS false", self.name)
        try:
            with psycopg.connect(self.root_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = %s AND usename = current_user",
                    [self.name],
                )
            yield
        finally:
            self._as_root("ALTER DATABASE {} ALLOW_CONNECTIONS true", self.name)

    def _as_root(self, statement: str, *names: str) -> None:
        with psycopg.connect(self.root_url, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
