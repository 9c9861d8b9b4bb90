"""A setting that cannot be used stops the start: one clear line, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SECRET = "0123456789abcdef" * 4


def start(data_dir: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`manage.py check` in an environment of its own."""
    given = {"PATH": os.environ["PATH"], "AURORA_DATA_DIR": str(data_dir), **environment}
    command = [sys.executable, "manage.py", "check"]
    return subprocess.run(
        command, cwd=ROOT, env=given, capture_output=True, text=True, check=False, timeout=60
    )


def test_without_a_word_it_starts_and_makes_its_keyring(tmp_path):
    done = start(tmp_path / "data")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "data" / "keyring").exists()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"AURORA_PORT": "http"}, "AURORA_PORT: a whole number from 0 to 65535 is needed"),
        ({"AURORA_LOG_LEVEL": "loud"}, "AURORA_LOG_LEVEL: one of debug, info, warning, error"),
        ({"AURORA_PUBLIC_URL": "aurora.example.com"}, "AURORA_PUBLIC_URL: a URL such as https://"),
        ({"AURORA_SECRET_KEYS": "short-secret"}, "AURORA_SECRET_KEYS: each secret has at least 32"),
        ({"DATABASE_URL": "postgres://h/n"}, "AURORA_SECRET_KEYS: required with DATABASE_URL"),
        ({"AURORA_DATA_DIR": "/dev/null/data"}, "AURORA_DATA_DIR: "),
        *(
            pytest.param(
                {"DATABASE_URL": url, "AURORA_SECRET_KEYS": SECRET},
                "DATABASE_URL: ",
            )
            for url in ("nonsense", "ftp://h/n", "postgres://u:hunter2@h:port/n")
        ),
        pytest.param(
            {"AURORA_SECRET_KEYS": os.fsdecode(b"\xff" * 40)},
            "AURORA_SECRET_KEYS: ",
        ),
    ],
)
def test_a_bad_setting_is_one_line_that_names_it(tmp_path, environment, said):
    done = start(tmp_path / "data", **environment)
    assert done.returncode != 0
    assert done.stdout == ""
    assert done.stderr.startswith(f"aurora: {said}")
    assert done.stderr.count("\n") == 1
    for secret in ("short-secret", SECRET, "hunter2"):
        assert secret not in done.stderr


def test_an_empty_keyring_stops_the_start(tmp_path):
    (tmp_path / "keyring").touch()
    done = start(tmp_path)
    assert done.returncode != 0
    assert done.stderr.startswith("aurora: AURORA_DATA_DIR: ")
    assert "is empty" in done.stderr
    assert done.stderr.count("\n") == 1
