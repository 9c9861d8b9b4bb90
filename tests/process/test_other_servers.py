"""`daphne aurora_site.asgi:application`: the same application without `serve`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.loopback import CLIENT
from tests.process.databases import Database
from tests.process.running import START_SECONDS, Running, manage
from tests.processes import eventually, free_port
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-plain-daphne-0123456789"
DAPHNE = str(Path(sys.executable).with_name("daphne"))
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
STREAM = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "stream": True}


def is_ready(server: Running) -> bool:
    assert not server.ended, server.written
    try:
        return server.get("/ready").is_success
    except httpx.ConnectError:
        return False


@pytest.fixture
def daphne(checkout: Path, database: Database, vllm: ScriptedVllm) -> Iterator[Running]:
    settings = {
        **database.settings,
        "AURORA_MASTER_KEY": MASTER_KEY,
        "VLLM_BASE_URL": vllm.url,
    }
    done = manage(checkout, settings, "seed")  # behind `migrate`, which `database` is copied from
    assert done.returncode == 0, done.stderr
    port = free_port()
    command = [DAPHNE, "-b", "127.0.0.1", "-p", str(port), "aurora_site.asgi:application"]
    url = f"http://127.0.0.1:{port}"
    with Running(command, cwd=checkout, settings=settings, url=url) as server:
        eventually(lambda: is_ready(server), START_SECONDS)
        yield server


def test_plain_daphne_serves_the_same_calls(daphne: Running, vllm: ScriptedVllm) -> None:
    listing = daphne.models(MASTER_KEY)
    chat = daphne.chat(MASTER_KEY, MODEL)
    stream = daphne.post("/v1/chat/completions", MASTER_KEY, STREAM)
    stranger = daphne.chat("a-guess", MODEL)
    admin = daphne.get("/admin/", follow_redirects=True)

    assert listing == [MODEL]
    assert chat.content == load("gen_chat_plain").body
    assert stream.content == load("gen_chat_stream").body
    assert stranger.status_code == 401
    assert admin.status_code == 200

    vllm.will_stall(after_chunks=[b'data: {"n":1}\n\n'])
    with httpx.stream(
        "POST",
        f"{daphne.url}/v1/chat/completions",
        json=STREAM,
        headers={"Authorization": f"Bearer {MASTER_KEY}"},
        **CLIENT,
    ) as stalled:
        assert next(stalled.iter_raw()) == b'data: {"n":1}\n\n'
    vllm.wait_until_left()
