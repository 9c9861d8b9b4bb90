"""Claude Code, set up as docs/clients.md says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.agents.agent import Agent
from tests.agents.documented import blocks
from tests.agents.model import Calls
from tests.agents.stage import Stage
from tests.patience import PATIENCE_SECONDS
from tests.pdfs import pdf
from tests.processes import eventually

COUNT, COUNT_LAMBS = "Count the sheep.", "Count the lambs."
DONE, LAMBS_DONE = "The herd is whole.", "The lambs are well."


@pytest.fixture(params=["variables", "alias"])
def naming(request: pytest.FixtureRequest, stage: Stage) -> str:
    """How its models are named: what its shell is told beside the address."""
    _, alias, variables = blocks("Claude Code", stage)
    if request.param == "variables":
        return variables
    environment = {**os.environ, "NO_PROXY": "127.0.0.1,localhost", "AURORA_MASTER_KEY": stage.key}
    subprocess.run(["bash", "-ec", alias], env=environment, check=True, timeout=PATIENCE_SECONDS)
    eventually(lambda: stage.aurora.chat(stage.key, "claude-of-any-name").is_success)
    return ""


@pytest.fixture
def claude(stage: Stage, node_modules: Path, home: Path, project: Path, naming: str) -> Agent:
    """Given its task. By a script of its own npm would put the program in its wrapper's place."""
    wrapper = node_modules / "@anthropic-ai" / "claude-code" / "cli-wrapper.cjs"
    exports = blocks("Claude Code", stage)[0].removesuffix("claude\n") + naming
    command = ("node", str(wrapper), "-p", COUNT, "--allowedTools", "Bash", "Read", "Agent")
    settings = {"AURORA_KEY": stage.key, "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}
    return Agent(("bash", "-ec", f'{exports}exec "$@"', "bash", *command), settings, home, project)


@pytest.mark.parametrize("naming", ["variables"], indirect=True)
def test_it_runs_a_command(stage: Stage, claude: Agent) -> None:
    command = Calls("Bash", {"command": "echo $((40+2)) sheep", "description": "Count"})

    played = stage.play(claude, {COUNT: [command, DONE]})

    assert DONE in played.output
    assert "42 sheep" in played.told(COUNT)


@pytest.mark.parametrize("naming", ["variables"], indirect=True)
def test_it_reads_a_pdf(stage: Stage, claude: Agent) -> None:
    file = claude.project / "herd.pdf"
    file.write_bytes(pdf("42 sheep in all"))

    played = stage.play(claude, {COUNT: [Calls("Read", {"file_path": str(file)}), DONE]})

    assert DONE in played.output
    assert "42 sheep in all" in played.told(COUNT)


def test_its_sub_agent_does_a_part(stage: Stage, claude: Agent) -> None:
    part = {"description": "Count", "prompt": COUNT_LAMBS, "subagent_type": "general-purpose"}
    command = Calls("Bash", {"command": "echo $((40+2)) lambs", "description": "Count"})

    played = stage.play(
        claude,
        {COUNT: [Calls("Agent", part), DONE], COUNT_LAMBS: [command, LAMBS_DONE]},
    )

    assert DONE in played.output
    assert "42 lambs" in played.told(COUNT_LAMBS)
    assert LAMBS_DONE in played.told(COUNT)
