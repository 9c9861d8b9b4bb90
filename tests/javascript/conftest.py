"""Node.js, with the official clients installed beside the tests."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS

HERE = Path(__file__).parent
REQUIRED = "AURORA_TEST_NODE"
INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
INSTALL_SECONDS = 300
CLIENT_SECONDS = 2 * PATIENCE_SECONDS

Run = Callable[..., dict[str, Any]]
"""`run(program, *words)` is what the program printed, a JSON object."""


@pytest.fixture(scope="session")
def node() -> str:
    """Where Node.js is. Without it these tests are skipped, or fail where they are required."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        reason = "NOT RUN: the JavaScript clients need Node.js and npm (Debian: apt install npm)"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    install(npm)
    return node


def install(npm: str) -> None:
    """Once, whichever of several processes comes first."""
    done = HERE / "node_modules" / "installed.json"
    with (HERE / "package.json").open() as package:
        fcntl.flock(package, fcntl.LOCK_EX)
        wanted = package.read()
        if not done.exists() or done.read_text() != wanted:
            subprocess.run((npm, *INSTALL), cwd=HERE, check=True, timeout=INSTALL_SECONDS)
            done.write_text(wanted)


@pytest.fixture
def run(node: str) -> Run:
    def printed(*words: str) -> dict[str, Any]:
        ran = subprocess.run(
            (node, *words),
            cwd=HERE,
            capture_output=True,
            text=True,
            check=False,
            timeout=CLIENT_SECONDS,
        )
        assert ran.returncode == 0, ran.stderr
        said: dict[str, Any] = json.loads(ran.stdout)
        return said

    return printed
