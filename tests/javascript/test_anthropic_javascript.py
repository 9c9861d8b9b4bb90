"""Anthropic's official JavaScript client, from npm, with the tool runner that it brings."""

from __future__ import annotations

import pytest

from tests.javascript.conftest import Run
from tests.mounted import MASTER_KEY, MODEL, MountedGateway, provider
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

RECORDED = {
    "native": ("tools_messages_tool_any", "full_messages_plain"),
    "translated": ("tools_required", "full_chat_plain"),
}


@pytest.mark.parametrize("ways", RECORDED)
def test_the_tool_runner_runs_a_tool_twice(
    run: Run, gateway: MountedGateway, vllm: ScriptedVllm, ways: str
) -> None:
    translation = "always" if ways == "translated" else "auto"
    gateway.publish(provider(vllm.url, translation=translation))
    called, said = RECORDED[ways]
    for recording in (called, called, said):
        vllm.will_replay(load(recording))

    assert run("anthropic.mjs", gateway.url, MASTER_KEY, f"alpha/{MODEL}") == {
        "calls": [{"unit": "celsius", "days": 5}] * 2,
        "text": "] jumpsistant are tru w parametersu",
        "stop": "max_tokens",
    }

    whole = str(vllm.received[-1].json["messages"])
    assert (whole.count("21 degrees"), whole.count("Hello, world!")) == (2, 1)
