"""Codex CLI, set up as docs/clients.md says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agents.agent import Agent
from tests.agents.documented import blocks
from tests.agents.model import Calls, Turn
from tests.agents.stage import Stage
from tests.patience import NEVER_SECONDS

COUNT, COUNT_LAMBS = "Count the sheep.", "Count the lambs."
DONE, LAMBS_DONE = "The herd is whole.", "The lambs are well."
QUIET = ("-c", "check_for_update_on_startup=false", "-c", "analytics.enabled=false")
FREE = "--dangerously-bypass-approvals-and-sandbox"
WAIT = {"timeout_ms": int(1000 * NEVER_SECONDS)}
LAMBS: list[Turn] = [Calls("exec_command", {"cmd": "echo $((40+2)) lambs"}), LAMBS_DONE]

Codex = Callable[..., Agent]


@pytest.fixture
def codex(stage: Stage, node_modules: Path, home: Path, project: Path) -> Codex:
    """`codex(*options)`, given its task."""
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(blocks("Codex CLI", stage)[0])
    command = (str(node_modules / ".bin" / "codex"), "exec", "--skip-git-repo-check", *QUIET)

    def with_options(*options: str) -> Agent:
        return Agent((*command, *options, COUNT), {"AURORA_KEY": stage.key}, home, project)

    return with_options


def test_it_runs_a_command_in_its_sandbox(stage: Stage, codex: Codex) -> None:
    """Or tells the model why it could not: not every machine lets it make one."""
    command = Calls("exec_command", {"cmd": "echo $((40+2)) sheep"})

    played = stage.play(codex(), {COUNT: [command, DONE]})

    assert DONE in played.output
    assert '"role": "tool"' in played.told(COUNT)


def test_it_runs_a_command_without_a_sandbox_and_offers_to_search_the_web(
    stage: Stage, codex: Codex
) -> None:
    """The search is OpenAI's to make: the server is not offered it."""
    command = Calls("exec_command", {"cmd": "echo $((40+2)) sheep"})

    played = stage.play(codex(FREE), {COUNT: [command, DONE]})

    assert DONE in played.output
    assert "42 sheep" in played.told(COUNT)
    assert {tool["type"] for call in played.calls for tool in call["tools"]} == {"function"}


def test_its_sub_agent_does_a_part(stage: Stage, codex: Codex) -> None:
    begin = Calls("multi_agent_v1__spawn_agent", {"message": COUNT_LAMBS})

    def wait(begun: str) -> Calls:
        begun_by = re.findall(r'"agent_id":"([^"]+)"', str(begun))
        return Calls("multi_agent_v1__wait_agent", {"targets": begun_by, **WAIT})

    played = stage.play(codex(FREE), {COUNT: [begin, wait, DONE], COUNT_LAMBS: LAMBS})

    assert DONE in played.output
    assert "42 lambs" in played.told(COUNT_LAMBS)
    assert LAMBS_DONE in played.told(COUNT)


def test_its_agents_write_messages_to_each_other(stage: Stage, codex: Codex) -> None:
    """The way of its sub-agents that is to come: what they write are items of their own kind."""
    lambs = {"task_name": "lambs", "message": COUNT_LAMBS, "fork_turns": "none"}
    begin = Calls("collaboration__spawn_agent", lambs)
    wait = Calls("collaboration__wait_agent", WAIT)

    played = stage.play(
        codex(FREE, "--enable", "multi_agent_v2"),
        {COUNT: [begin, wait, DONE], COUNT_LAMBS: LAMBS},
    )

    assert DONE in played.output
    assert "42 lambs" in played.told(COUNT_LAMBS)
    assert LAMBS_DONE in played.told(COUNT)
