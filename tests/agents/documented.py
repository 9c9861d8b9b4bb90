"""How docs/clients.md says that an agent is set up, for the address and the model of the tests."""

from __future__ import annotations

import re
from pathlib import Path

from tests.agents.stage import Stage

CLIENTS = Path(__file__).resolve().parents[2] / "docs" / "clients.md"
EXAMPLES = ("http://localhost:8080", "Qwen/Qwen3-8B")


def blocks(agent: str, stage: Stage) -> list[str]:
    """The blocks of code below the agent's heading."""
    section = CLIENTS.read_text().partition(f"\n## {agent}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```\w+\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    assert found, f"docs/clients.md has no block for {agent}"
    url, model = EXAMPLES
    [served] = stage.server.models
    return [each.replace(url, stage.aurora.url).replace(model, served) for each in found]
