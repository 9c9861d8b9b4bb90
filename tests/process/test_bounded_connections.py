"""AURORA_UPSTREAM_CONNECTIONS in a real process."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.process.conftest import Serve
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-environment-0123456789"


def test_a_call_over_the_bound_waits_as_long_as_for_a_connection(
    serve: Serve, vllm: ScriptedVllm
) -> None:
    aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY,
        AURORA_UPSTREAM_CONNECTIONS="1",
        AURORA_RETRY_PERCENT="0",
        VLLM_BASE_URL=vllm.url,
    )
    model = f"vllm/{vllm.models[0]}"
    eventually(lambda: aurora.models(MASTER_KEY) == [model])
    vllm.will_send(b"", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", held_after=1)
    with ThreadPoolExecutor(1) as elsewhere:
        held = elsewhere.submit(aurora.chat, MASTER_KEY, model)
        eventually(lambda: vllm.received)
        over = aurora.chat(MASTER_KEY, model)
        vllm.go_on()

        assert (over.status_code, over.json()["error"]["code"]) == (504, "upstream_connect_timeout")
        assert held.result().status_code == 200
    assert len(vllm.received) == 1
    assert aurora.chat(MASTER_KEY, model).status_code == 200
