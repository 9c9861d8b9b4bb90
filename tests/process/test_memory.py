"""`AURORA_MEMORY_BYTES` reaches the calls of a process."""

from __future__ import annotations

from tests.process.conftest import Serve
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

KEY = "sk-of-a-small-process-0123456789"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"


def test_a_call_that_would_take_more_than_all_is_refused(serve: Serve, vllm: ScriptedVllm) -> None:
    variables = {"AURORA_MASTER_KEY": KEY, "VLLM_BASE_URL": vllm.url}
    aurora = serve(AURORA_MEMORY_BYTES="1000000", **variables)
    eventually(lambda: aurora.models(KEY) == [MODEL])
    large = [{"role": "user", "content": "a" * 1_000_000}]

    refused = aurora.post("/v1/chat/completions", KEY, {"model": MODEL, "messages": large})
    taken = aurora.chat(KEY, MODEL)

    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "body_too_large")
    assert taken.status_code == 200
