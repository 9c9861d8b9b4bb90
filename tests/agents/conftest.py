"""The agents from npm, and one Aurora for all of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents.agent import TEMPORARY
from tests.agents.stage import Stage
from tests.process.running import Aurora, copy_program
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

INSTALLED = Path(__file__).resolve().parents[2] / ".agents" / "node_modules"
REQUIRED = "AURORA_TEST_NODE"
KEY = "sk-aurora-of-the-agents-0123456789"


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """Where the agents are. Without Node.js they are skipped, or fail where it is required."""
    if shutil.which("node") and INSTALLED.is_dir():
        return INSTALLED
    reason = (
        "NOT RUN: the coding agents need Node.js and npm (Debian: apt install npm);"
        " `make test-agents` installs them"
    )
    if os.environ.get(REQUIRED) == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def stage(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("aurora")
    with ScriptedVllm() as server:
        translated = {"type": "vllm", "base_url": server.url, "translation": "always"}
        config = folder / "providers.yaml"
        config.write_text(json.dumps({"providers": {"vllm": translated}}))  # YAML as well
        settings = {
            "AURORA_CONFIG": str(config),
            "AURORA_DATA_DIR": str(folder / "data"),
            "AURORA_MASTER_KEY": KEY,
        }
        with Aurora(copy_program(tmp_path_factory.mktemp("checkout")), settings) as aurora:
            eventually(lambda: aurora.models(KEY))
            yield Stage(aurora, server, KEY)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = _folder(tmp_path / "home")
    _folder(home / TEMPORARY)
    return home


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return _folder(tmp_path / "project")


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
