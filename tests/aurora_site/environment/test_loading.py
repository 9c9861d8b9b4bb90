"""The variables of the process and of `.env` together, in the settings of a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aurora_site import environment
from aurora_site.keyring import Keyring
from aurora_site.options import NAMES

ROOT = Path(__file__).resolve().parents[3]
KEYS = "0123456789abcdef" * 2
PROGRAM = """\
import json, os
from aurora_site import settings
print(json.dumps([settings.OPTIONS, dict(os.environ), settings.KEYRING.derived_texts("x")]))
"""


def start(folder: Path, env_file: str | bytes, **variables: str) -> subprocess.CompletedProcess:
    """Read the settings where `.env` holds `env_file`, in a process with these variables."""
    shutil.copytree(ROOT / "aurora_site", folder / "aurora_site", dirs_exist_ok=True)
    (folder / ".env").write_bytes(env_file.encode() if isinstance(env_file, str) else env_file)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def settings_with(folder: Path, env_file: str, **variables: str) -> list[Any]:
    """The options, the process's variables, and what is derived of the keyring."""
    done = start(folder, env_file, **variables)
    assert (done.returncode, done.stderr) == (0, "")
    read: list[Any] = json.loads(done.stdout)
    return read


def test_an_env_file_is_read_and_the_environment_beats_it(tmp_path):
    read, process, _ = settings_with(
        tmp_path,
        "# Aurora's settings\n"
        "AURORA_PORT=9000\n"
        "export AURORA_LOG_LEVEL=debug\n"
        "AURORA_MASTER_KEY='$ecret-with-a-dollar'\n"
        'AURORA_ADMIN_PASSWORD="$HOME"\n'
        "AURORA_DISCOVERY_SECONDS=5\n"
        "AURORA_QUEUE_CALLS=6\n"
        "SSL_CERT_FILE=/etc/ours.pem\n",
        AURORA_DISCOVERY_SECONDS="7",
        AURORA_QUEUE_CALLS="",
    )
    assert (read["AURORA_PORT"], read["AURORA_LOG_LEVEL"]) == (9000, "debug")
    assert read["AURORA_MASTER_KEY"] == "$ecret-with-a-dollar"
    assert read["AURORA_ADMIN_PASSWORD"] == "$HOME"
    assert (read["AURORA_DISCOVERY_SECONDS"], read["AURORA_QUEUE_CALLS"]) == (7, 6)
    assert process["SSL_CERT_FILE"] == "/etc/ours.pem"
    assert "AURORA_MASTER_KEY" not in process
    assert (tmp_path / "data" / "keyring").exists()


def test_a_value_that_begins_with_a_dollar_is_meant_as_it_stands(tmp_path):
    read, _, _ = settings_with(
        tmp_path,
        "AURORA_ADMIN_PASSWORD=$AURORA_MASTER_KEY\n",
        AURORA_MASTER_KEY="$AURORA_ADMIN_PASSWORD",
    )
    assert read["AURORA_MASTER_KEY"] == "$AURORA_ADMIN_PASSWORD"
    assert read["AURORA_ADMIN_PASSWORD"] == "$AURORA_MASTER_KEY"


def test_variables_of_the_process_are_cleaned_as_docker_and_kubernetes_leave_them(tmp_path):
    read, _, _ = settings_with(
        tmp_path,
        "",
        AURORA_PORT='"8081"',
        AURORA_QUEUE_CALLS="7 ",
        AURORA_LOG_LEVEL="INFO\r",
        AURORA_MASTER_KEY='"sk-team-0123456789abc"',
        AURORA_ADMIN_PASSWORD="s3cret-pass-77\n",
    )
    assert (read["AURORA_PORT"], read["AURORA_QUEUE_CALLS"]) == (8081, 7)
    assert read["AURORA_LOG_LEVEL"] == "info"
    assert read["AURORA_MASTER_KEY"] == "sk-team-0123456789abc"
    assert read["AURORA_ADMIN_PASSWORD"] == "s3cret-pass-77"


@pytest.mark.parametrize("written", [f'"{KEYS}"', f"'{KEYS}'", f"{KEYS}\n", f"\ufeff{KEYS}\r\n"])
def test_a_quoted_keyring_is_the_same_keyring(tmp_path, written):
    _, _, derived = settings_with(tmp_path, "", AURORA_SECRET_KEYS=written, LC_ALL="C.UTF-8")

    assert derived == list(Keyring((KEYS,)).derived_texts("x"))


@pytest.mark.parametrize(
    ("env_file", "said"),
    [
        ("A=1\nhunter2 x\n", "line 2: NAME=value is needed"),
        ("AURORA_MASTER_KEY=hunter2\n".encode("utf-16"), "UTF-16 text"),
        (b"AURORA_MASTER_KEY=hunter2\xe9\n", "not UTF-8 text, in line 1"),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_start_with_one_line(tmp_path, env_file, said):
    done = start(tmp_path, env_file)

    [line] = done.stderr.splitlines()
    assert done.returncode != 0
    assert line.startswith(f"aurora: {tmp_path / '.env'}: {said}")
    assert "hunter2" not in done.stderr + done.stdout
    assert not (tmp_path / "data").exists()


def test_no_value_is_in_the_repr(tmp_path):
    (tmp_path / ".env").write_text("A=hunter2\nA=hunter2\n")

    read = environment.load({"B": "hunter2"}, tmp_path)

    assert read.values == {"A": "hunter2", "B": "hunter2"}
    [notice] = read.notices
    assert notice.text == f"{tmp_path / '.env'}: A is given more than once; the last value holds"
    assert "hunter2" not in repr(read)


def test_what_may_be_a_comment_in_a_variable_of_the_process_is_told(tmp_path):
    (tmp_path / ".env").write_text("AURORA_MASTER_KEY=a # comment\n")
    process = {"AURORA_ADMIN_PASSWORD": "hunter2   # comment", "OTHER": "a # b"}

    read = environment.load(process, tmp_path, NAMES)

    assert read.values["AURORA_ADMIN_PASSWORD"] == "hunter2   # comment"
    assert [notice.text for notice in read.notices] == [
        "AURORA_ADMIN_PASSWORD: its value holds a # behind a blank; if a comment is meant, take it out"
    ]
