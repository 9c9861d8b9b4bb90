"""What is generated in the background, over the end of its process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.gateway.responses.making import native_stream
from tests.process.databases import Database
from tests.process.running import Aurora
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-background-0123456789"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
LEASE_UNTIL = "UPDATE gateway_storedresponse SET lease_until = '{}' WHERE lease_until IS NOT NULL"
LASTS = LEASE_UNTIL.format("2999-01-01 00:00:00")
IS_OVER = LEASE_UNTIL.format("2000-01-01 00:00:00")


def shown(aurora: Aurora, id: str) -> Any:
    return aurora.get(f"/v1/responses/{id}", MASTER_KEY).json()


@pytest.mark.parametrize("end", ["stopped", "killed"])
def test_a_response_whose_process_ended_is_failed_with_a_reason(
    checkout: Path, database: Database, vllm: ScriptedVllm, end: str
) -> None:
    settings = {**database.settings, "AURORA_MASTER_KEY": MASTER_KEY, "VLLM_BASE_URL": vllm.url}
    vllm.will_stall(after_chunks=native_stream("Hi")[:3])
    aurora = Aurora(checkout, settings)
    try:
        eventually(lambda: aurora.get("/ready").is_success)
        asked = {"model": MODEL, "input": "Hello", "background": True}
        id = aurora.post("/v1/responses", MASTER_KEY, asked).json()["id"]
        eventually(lambda: shown(aurora, id)["status"] == "in_progress")
    finally:
        if end == "killed":
            aurora.kill()
        aurora.stop()
    database.execute(LASTS)

    with Aurora(checkout, settings) as again:
        if end == "killed":
            assert shown(again, id)["status"] == "in_progress"
            database.execute(IS_OVER)
            eventually(lambda: shown(again, id)["status"] != "in_progress")
        response = shown(again, id)
        stream = again.get(f"/v1/responses/{id}?stream=true", MASTER_KEY).text

    assert response["status"] == "failed"
    assert "stopped" in response["error"]["message"]
    assert stream.count("event: response.failed\n") == 1
