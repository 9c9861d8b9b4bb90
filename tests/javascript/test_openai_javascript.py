"""The official JavaScript client, from npm, against servers that speak Responses and that do not."""

from __future__ import annotations

import pytest

from tests.javascript.conftest import Run
from tests.mounted import MASTER_KEY, MODEL, MountedGateway, provider
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

SAID = "] jumpsistant are tru w parametersu"


@pytest.mark.parametrize("ways", ["native", "translated"])
def test_an_application_in_javascript_works(
    run: Run, gateway: MountedGateway, vllm: ScriptedVllm, ways: str
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

    assert run("client.mjs", f"{gateway.url}/v1", MASTER_KEY, f"alpha/{MODEL}") == {
        "models": [MODEL, f"alpha/{MODEL}"],
        "chat": SAID,
        "chatStream": SAID,
        "response": SAID,
        "responseStream": SAID,
        "first": "response.created",
        "last": "response.incomplete" if ways == "translated" else "response.completed",
        "error": [True, 404, "model_not_found"],
    }
