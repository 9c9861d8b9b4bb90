"""A real Aurora with itself among its providers."""

from __future__ import annotations

from tests.process.conftest import Serve
from tests.processes import eventually, free_port
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-environment-0123456789"


def test_it_says_what_it_is_and_serves_what_is_none(serve: Serve, vllm: ScriptedVllm) -> None:
    port = free_port()
    aurora = serve(
        AURORA_PORT=str(port),
        AURORA_MASTER_KEY=MASTER_KEY,
        VLLM_GOOD_BASE_URL=vllm.url,
        VLLM_SELF_BASE_URL=f"http://127.0.0.1:{port}/v1",
        VLLM_SELF_API_KEY=MASTER_KEY,
    )
    good = f"vllm-good/{vllm.models[0]}"
    assert eventually(lambda: aurora.models(MASTER_KEY) == [good])

    def told() -> str:
        answer = aurora.get("/api/providers/vllm-self", MASTER_KEY)
        return answer.text if "leads back to it (HTTP 508)" in answer.text else ""

    assert eventually(told)
    message = {"model": vllm.models[0], "messages": []}
    looped = aurora.post("/p/vllm-self/v1/chat/completions", MASTER_KEY, message)
    assert (looped.status_code, looped.json()["error"]["code"]) == (508, "loop_detected")
    assert aurora.chat(MASTER_KEY, good).status_code == 200
    assert aurora.models(MASTER_KEY) == [good]
