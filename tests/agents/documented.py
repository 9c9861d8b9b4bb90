"""How docs/clients.md says that an agent is set up, for the address and the model of the tests."""

from __future__ import annotations

import re
from pathlib import Path

from tests.agents.stage import Stage

CLIENTS = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
EXAMPLES = ("http://localhost:8080", "vllm/Qwen/Qwen3-8B")


def block(agent: str, stage: Stage) -> str:
    """The first block of code below the agent's heading."""
    section = CLIENTS.read_text().partition(f"\n## {agent}\n")[2]
    found = re.search(r"```\w+\n(.*?)```", section, re.DOTALL)
    assert found, f"docs/clients.md has no block for {agent}"
    url, model = EXAMPLES
    return found[1].replace(url, stage.aurora.url).replace(model, stage.model)
