"""What the tests of real processes stand on: a checkout, a database each, and ways to start."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings

from tests.plugins.databases import RUN
from tests.process.databases import Database, Postgres, Sqlite
from tests.process.running import Aurora, copy_program, manage

Serve = Callable[..., Aurora]


def _empty_database(config: pytest.Config, folder: Path) -> Database:
    """Of the kind that the suite runs on."""
    url = settings.OPTIONS["DATABASE_URL"]
    if not url:
        return Sqlite(folder)
    return Postgres.create(url, ",".join(settings.KEYRING.secrets), config.stash[RUN], folder)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_program(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="session")
def migrated(
    checkout: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Database]:
    """What the tests' own databases are copied from, since migrating takes its time."""
    database = _empty_database(pytestconfig, tmp_path_factory.mktemp("migrated"))
    try:
        done = manage(checkout, database.settings, "migrate", "--verbosity", "0")
        assert done.returncode == 0, done.stderr
        yield database
    finally:
        database.drop()


@pytest.fixture
def database(migrated: Database, tmp_path: Path) -> Iterator[Database]:
    """Migrated and empty."""
    own = migrated.copy(tmp_path / "data")
    yield own
    own.drop()


@pytest.fixture(scope="module")
def shared_database(
    migrated: Database, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Database]:
    """Migrated and empty, for all tests of a module."""
    own = migrated.copy(tmp_path_factory.mktemp("shared") / "data")
    yield own
    own.drop()


@pytest.fixture
def empty_database(tmp_path: Path, pytestconfig: pytest.Config) -> Iterator[Database]:
    """Without a single table."""
    own = _empty_database(pytestconfig, tmp_path / "data")
    yield own
    own.drop()


@contextlib.contextmanager
def _serving(checkout: Path, database: Database) -> Iterator[Serve]:
    with contextlib.ExitStack() as stack:

        def start(**variables: str) -> Aurora:
            aurora = Aurora(checkout, {**database.settings, **variables})
            stack.push(aurora.__exit__)
            return aurora

        yield start


@pytest.fixture
def serve(checkout: Path, database: Database) -> Iterator[Serve]:
    """Starts a process on the test's database with the given variables, and no others."""
    with _serving(checkout, database) as start:
        yield start


@pytest.fixture(scope="module")
def serve_all(checkout: Path, shared_database: Database) -> Iterator[Serve]:
    """As `serve` does, for all tests of a module: a start takes a second of processor time."""
    with _serving(checkout, shared_database) as start:
        yield start


@pytest.fixture
def orm(checkout: Path, database: Database) -> Callable[[str], str]:
    """Runs a line of Python on the models, in a process of its own. Gives what it printed last."""

    def run(line: str) -> str:
        done = manage(checkout, database.settings, "shell", "-c", line)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip().rpartition("\n")[2]

    return run
