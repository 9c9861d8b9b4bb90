"""opencode, set up as docs/clients.md says, with either of the APIs that it speaks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.agents.agent import Agent
from tests.agents.documented import blocks
from tests.agents.model import Calls
from tests.agents.stage import Stage

COUNT, DONE = "Count the sheep.", "The herd is whole."
QUIET = dict.fromkeys(
    (
        "OPENCODE_DISABLE_AUTOUPDATE",
        "OPENCODE_DISABLE_DEFAULT_PLUGINS",
        "OPENCODE_DISABLE_LSP_DOWNLOAD",
        "OPENCODE_DISABLE_MODELS_FETCH",
    ),
    "1",
)


@pytest.fixture
def opencode(stage: Stage, program: str, home: Path, project: Path, package: str) -> Agent:
    """Given its task."""
    config = json.loads(blocks("opencode", stage)[0])
    config["provider"]["aurora"]["npm"] = package
    folder = home / ".config" / "opencode"
    folder.mkdir(parents=True)
    (folder / "opencode.json").write_text(json.dumps(config))
    return Agent((program, "run", COUNT), {"AURORA_KEY": stage.key, **QUIET}, home, project)


@pytest.fixture
def program(node_modules: Path) -> str:
    """The build of this platform that most processors run; a script of npm's would link it."""
    builds = map(str, node_modules.glob("opencode-*/bin/opencode"))
    return min(builds, key=lambda path: ("musl" in path, "baseline" not in path))


@pytest.mark.parametrize("package", ["@ai-sdk/openai-compatible", "@ai-sdk/openai"])
def test_it_runs_a_command(stage: Stage, opencode: Agent) -> None:
    command = Calls("bash", {"command": "echo $((40+2)) sheep", "description": "Count"})

    played = stage.play(opencode, {COUNT: [command, DONE]})

    assert DONE in played.output
    assert "42 sheep" in played.told(COUNT)
