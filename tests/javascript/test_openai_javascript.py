"""The official JavaScript client, from npm, against servers that speak Responses and that do not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.mounted import MASTER_KEY, MODEL, MountedGateway, provider
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

HERE = Path(__file__).parent
REQUIRED = "AURORA_TEST_NODE"
INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
INSTALL_SECONDS = 300
CLIENT_SECONDS = 60
SAID = "] jumpsistant are tru w parametersu"


@pytest.fixture(scope="session")
def node() -> str:
    """Where Node.js is, the client installed beside this file. Without it these tests are skipped,
    or fail where they are required."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        reason = "NOT RUN: the JavaScript client needs Node.js and npm (Debian: apt install npm)"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    done = HERE / "node_modules" / "installed.json"
    wanted = (HERE / "package.json").read_text()
    if not done.exists() or done.read_text() != wanted:
        subprocess.run((npm, *INSTALL), cwd=HERE, check=True, timeout=INSTALL_SECONDS)
        done.write_text(wanted)
    return node


def told(node: str, gateway: MountedGateway) -> dict[str, Any]:
    """What the client was told, by the part of Aurora's API it asked."""
    words = (node, "client.mjs", f"{gateway.url}/v1", MASTER_KEY, f"alpha/{MODEL}")
    ran = subprocess.run(
        words, cwd=HERE, capture_output=True, text=True, check=False, timeout=CLIENT_SECONDS
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


@pytest.mark.parametrize("ways", ["native", "translated"])
def test_an_application_in_javascript_works(
    node: str, gateway: MountedGateway, vllm: ScriptedVllm, ways: str
) -> None:
    translation = "always" if ways == "translated" else "auto"
    gateway.publish(provider(vllm.url, translation=translation))
    chat, chat_stream = load("full_chat_plain"), load("full_chat_stream_usage")
    native = (load("full_resp_plain"), load("full_resp_stream"))
    for recording in (
        chat,
        chat_stream,
        *((chat, chat_stream) if ways == "translated" else native),
    ):
        vllm.will_replay(recording)

    assert told(node, gateway) == {
        "models": [f"alpha/{MODEL}"],
        "chat": SAID,
        "chatStream": SAID,
        "response": SAID,
        "responseStream": SAID,
        "first": "response.created",
        "last": "response.incomplete" if ways == "translated" else "response.completed",
        "error": [True, 404, "model_not_found"],
    }
