"""An adapter is loaded through one process, and called by its name through the other."""

from __future__ import annotations

import json

from tests.processes import eventually
from tests.scripted_vllm import Received, ScriptedVllm
from tests.scripting import Script, answer

MASTER_KEY = "sk-of-the-adapters-0123456789"
CONTROL = """
from providers.models import Provider
row = Provider.objects.get(name="vllm")
row.passthrough = "control"
row.save(update_fields=["passthrough"])
"""


def test_an_adapter_can_be_called_in_every_process_once_it_is_loaded(
    serve, orm, vllm: ScriptedVllm
) -> None:
    def load(call: Received) -> Script | None:
        if call.path != "/v1/load_lora_adapter":
            return None
        vllm.models = [*vllm.models, call.json["lora_name"]]
        return Script((answer(200, body=b"Success"),))

    vllm.answers = load
    variables = {
        "AURORA_MASTER_KEY": MASTER_KEY,
        "VLLM_BASE_URL": vllm.url,
        "AURORA_DISCOVERY_SECONDS": "86400",
    }
    one, two = serve(**variables), serve(**variables)
    orm(f"exec({json.dumps(CONTROL)})")
    for aurora in (one, two):
        eventually(lambda: len(aurora.models(MASTER_KEY)) == 1)  # noqa: B023 - at once
    body = {"lora_name": "sql", "lora_path": "/models/sql"}

    eventually(lambda: one.post("/p/vllm/v1/load_lora_adapter", MASTER_KEY, body).is_success)

    for aurora in (one, two):
        eventually(lambda: aurora.chat(MASTER_KEY, "sql").is_success)  # noqa: B023
    assert vllm.received[-1].json["model"] == "sql"
