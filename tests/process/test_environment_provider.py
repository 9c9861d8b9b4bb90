"""A server and a key by environment variables alone, used by the official OpenAI client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

from tests.process.databases import Database
from tests.process.operators import Operator
from tests.process.running import Aurora, copy_program
from tests.processes import eventually
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-environment-0123456789"
VLLM_KEY = "token-of-the-server"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
HELLO: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def openai(serve, vllm: ScriptedVllm) -> Iterator[OpenAI]:
    """Of an Aurora that lists the server's models."""
    vllm.required_key = VLLM_KEY
    aurora = serve(AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=vllm.url, VLLM_API_KEY=VLLM_KEY)
    eventually(lambda: aurora.models(MASTER_KEY) == [MODEL])
    assert aurora.get("/ready").status_code == 200
    with OpenAI(base_url=f"{aurora.url}/v1", api_key=MASTER_KEY, max_retries=0) as client:
        yield client


def test_the_official_client_chats_streams_embeds_and_lists(
    openai: OpenAI, vllm: ScriptedVllm
) -> None:
    pooled, card = openai.models.list()
    chat = openai.chat.completions.create(model=MODEL, messages=HELLO)
    stream = openai.chat.completions.create(model=MODEL, messages=HELLO, stream=True)
    said = [chunk.choices[0].delta.content for chunk in stream if chunk.choices]
    embedding = openai.embeddings.create(model=MODEL, input="Hello", encoding_format="float")

    assert (pooled.id, card.id) == (vllm.models[0], MODEL)
    assert (pooled.owned_by, card.owned_by) == ("vllm", "vllm")
    assert chat.to_dict() == load("gen_chat_plain").json
    assert len(said) > 2
    assert embedding.data[0].embedding == load("embed_emb_float").json["data"][0]["embedding"]
    assert {call.headers["authorization"] for call in vllm.received} == {f"Bearer {VLLM_KEY}"}
    assert {call.json["model"] for call in vllm.received} == {vllm.models[0]}


def test_a_file_env_beside_the_program_is_read(
    tmp_path: Path, database: Database, vllm: ScriptedVllm
) -> None:
    (tmp_path / "checkout").mkdir()
    checkout = copy_program(tmp_path / "checkout")
    (checkout / ".env").write_text(
        f"AURORA_MASTER_KEY={MASTER_KEY}\nVLLM_FILE_BASE_URL={vllm.url}\nAURORA_LOG_LEVEL=error\n"
    )

    with Aurora(checkout, {**database.settings, "AURORA_LOG_LEVEL": "info"}) as aurora:
        eventually(lambda: aurora.models(MASTER_KEY))
        answer = aurora.chat(MASTER_KEY, f"vllm-file/{vllm.models[0]}")

    assert (answer.status_code, answer.headers["x-aurora-provider"]) == (200, "vllm-file")


def test_every_setting_mounted_as_a_file_is_read(
    checkout: Path, database: Database, tmp_path: Path, vllm: ScriptedVllm
) -> None:
    vllm.required_key = VLLM_KEY
    values = {
        **database.settings,
        "AURORA_MASTER_KEY": MASTER_KEY,
        "AURORA_ADMIN_PASSWORD": "a-password-in-a-file",
        "VLLM_BASE_URL": vllm.url,
        "VLLM_API_KEY": VLLM_KEY,
    }
    for name, value in values.items():
        (tmp_path / name).write_text(f"{value}\n")

    with Aurora(checkout, {f"{name}_FILE": str(tmp_path / name) for name in values}) as aurora:
        eventually(lambda: aurora.models(MASTER_KEY))
        assert aurora.chat(MASTER_KEY, MODEL).is_success
        with Operator(aurora.url, "a-password-in-a-file") as operator:
            assert operator.id_of("vllm")
