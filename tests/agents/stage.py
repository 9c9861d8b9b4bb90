"""Aurora before a server that it translates for, and what came of a session with an agent."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.agents.agent import Agent
from tests.agents.model import CHAT, Turn, WrittenModel
from tests.process.running import Aurora
from tests.scripted_vllm import ScriptedVllm

LEFT = 0
"""How a call is logged whose client left before an answer: an agent that ends leaves small tasks."""


@dataclass(frozen=True)
class Played:
    """A session that came to its end."""

    output: str
    calls: list[dict[str, Any]]
    model: WrittenModel

    def told(self, task: str) -> str:
        """The messages of the last call of a conversation, as JSON."""
        calls = [body for body in self.calls if self.model.task_of(body) == task]
        assert calls, f"no conversation began with {task!r}"
        return json.dumps(calls[-1]["messages"], ensure_ascii=False)


@dataclass(frozen=True)
class Stage:
    aurora: Aurora
    server: ScriptedVllm
    key: str

    @property
    def model(self) -> str:
        """Its id at Aurora."""
        return f"vllm/{self.server.models[0]}"

    def play(self, agent: Agent, tasks: Mapping[str, Sequence[Turn]]) -> Played:
        """Let the agent work with a model that answers so. AssertionError unless it exits with 0
        and Aurora refused it nothing."""
        model = WrittenModel(tasks)
        self.server.answers = model.answers
        calls, lines = len(self.server.received), len(self.aurora.lines)
        session = agent.run()
        self.server.answers = None
        answered = [line for line in self.aurora.lines[lines:] if "status" in line]
        assert [line for line in answered if line["status"] not in (200, LEFT)] == [], session
        assert session.code == 0, session
        bodies = [each.json for each in self.server.received[calls:] if each.path == CHAT]
        return Played(session.output, bodies, model)
