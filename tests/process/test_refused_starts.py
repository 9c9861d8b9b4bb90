"""A start that cannot be: one line that says what would be right, and no traceback."""

from __future__ import annotations

import socket
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.process.databases import Database
from tests.process.running import manage

NOWHERE = "postgres://nobody:a-database-password@127.0.0.1:1/none"
A_KEYRING = "0123456789abcdef0123456789abcdef"
YAML = "providers:\n  vllm:\n    type: vllm\n    base_irl: http://gpu-1:8000\n"


def assert_refused(done: CompletedProcess[str], *words: str) -> None:
    """A single line that begins as Aurora's own do and holds each of these words."""
    assert done.returncode != 0
    [line] = done.stderr.splitlines()
    assert line.startswith("aurora: ")
    assert [word for word in words if word not in line] == []


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("AURORA_PORT", "eighty", "a whole number from 0 to 65535"),
        ("AURORA_SECRET_KEYS", "short", "at least 32 characters"),
        ("AURORA_MASTER_KEY", "two words", "without spaces"),
        ("AURORA_MASTER_KEY", "a", "at least 16 characters, 6 of them different"),
        ("AURORA_MASTER_KEY", "changeme", "`openssl rand -hex 32` makes one"),
        ("VLLM_BASE_URL", "ftp://gpu-1/v1", "http"),
        ("VLLM_BAD__SUFFIX_BASE_URL", "http://gpu-1/v1", "single underscores"),
        ("AURORA_CONFIG", "/nowhere/providers.yaml", "/nowhere/providers.yaml"),
        ("DATABASE_URL", "nonsense", "postgres://"),
        ("DATABASE_URL", "postgres://127.0.0.1/other", "AURORA_SECRET_KEYS"),
        ("DATABASE_URL", "postgres://u:p#w@127.0.0.1/other", "%23"),
        ("AURORA_HOST", "[::]:8080", "AURORA_PORT"),
        ("AURORA_HOST", "192.0.2.1", "cannot listen on 192.0.2.1:0"),
        ("AURORA_HOST", "no-such-host.invalid", "cannot listen on no-such-host.invalid:0"),
    ],
)
def test_a_variable_with_nonsense_stops_the_start(
    checkout: Path, tmp_path: Path, name: str, value: str, hint: str
) -> None:
    folder = {"AURORA_DATA_DIR": str(tmp_path / "data")}

    assert_refused(manage(checkout, {**folder, name: value}, "serve"), name, hint)
    assert not (tmp_path / "data" / "aurora.sqlite3").exists()


def test_a_data_folder_that_cannot_be_made_stops_the_start(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    folder = str(tmp_path / "file" / "data")

    assert_refused(
        manage(checkout, {"AURORA_DATA_DIR": folder}, "serve"), "AURORA_DATA_DIR", folder
    )


def test_a_mistake_in_the_yaml_file_is_named_with_file_and_path(
    checkout: Path, tmp_path: Path, database: Database
) -> None:
    file = tmp_path / "providers.yaml"
    file.write_text(YAML)

    done = manage(checkout, {**database.settings, "AURORA_CONFIG": str(file)}, "serve")

    assert_refused(done, str(file), "providers.vllm.base_irl", "base_url")


def test_a_database_out_of_reach_stops_the_start_without_its_password(
    checkout: Path, tmp_path: Path
) -> None:
    settings = {
        "AURORA_DATA_DIR": str(tmp_path),
        "AURORA_SECRET_KEYS": A_KEYRING,
        "DATABASE_URL": NOWHERE,
    }

    done = manage(checkout, settings, "serve")

    assert_refused(done, "DATABASE_URL", "127.0.0.1")
    assert "a-database-password" not in done.stderr + done.stdout


def test_a_database_file_of_a_url_that_is_none_is_told_of_by_the_url(
    checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "aurora.db").write_text("This was never a database. " * 100)
    settings = {
        "AURORA_DATA_DIR": str(tmp_path / "data"),
        "AURORA_SECRET_KEYS": A_KEYRING,
        "DATABASE_URL": f"sqlite:///{tmp_path}/aurora.db",
    }

    done = manage(checkout, settings, "serve")

    assert_refused(done, "DATABASE_URL", str(tmp_path), "not a database")
    assert "AURORA_DATA_DIR" not in done.stderr


def test_a_port_in_use_stops_the_start(checkout: Path, database: Database) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        settings = {**database.settings, "AURORA_HOST": "127.0.0.1", "AURORA_PORT": port}

        done = manage(checkout, settings, "serve")

    assert_refused(done, "AURORA_PORT", f"127.0.0.1:{port}")


def test_seeding_before_migrating_says_what_is_missing(
    checkout: Path, empty_database: Database
) -> None:
    done = manage(checkout, empty_database.settings, "seed")

    assert done.returncode != 0
    assert "has `manage.py migrate` been run?" in done.stderr
    assert "Traceback" not in done.stderr
