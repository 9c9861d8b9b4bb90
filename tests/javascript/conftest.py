"""Node.js, with the official clients installed beside the tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
REQUIRED = "AURORA_TEST_NODE"
INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
INSTALL_SECONDS = 300
CLIENT_SECONDS = 60

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
    done = HERE / "node_modules" / "installed.json"
    wanted = (HERE / "package.json").read_text()
    if not done.exists() or done.read_text() != wanted:
        subprocess.run((npm, *INSTALL), cwd=HERE, check=True, timeout=INSTALL_SECONDS)
        done.write_text(wanted)
    return node


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
