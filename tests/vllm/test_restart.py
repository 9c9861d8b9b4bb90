"""A vLLM server goes and comes back. Last of the lane's files: it has the text server for itself."""

from __future__ import annotations

import re
import signal

import httpx
import openai
import pytest

from tests.processes import eventually
from tests.vllm.servers import EMBED_MODEL, VLLM_READY_SECONDS, Server
from tests.vllm.test_chat import HELLO, TEXT, long_stream

BACK_SECONDS = 15


def test_a_server_that_dies_is_named_and_serves_again_when_it_is_back(
    client: openai.OpenAI, http: httpx.Client, text: Server
) -> None:
    with long_stream(client) as stream:
        next(iter(stream))
        text.stop(signal.SIGKILL)
        with pytest.raises(openai.APIError, match="vllm"):
            list(stream)

    answer = http.post("/v1/chat/completions", json={"model": TEXT, "messages": HELLO})
    assert answer.status_code == 502
    named = re.match(r"The provider '(vllm|forced)' ", answer.json()["error"]["message"])
    assert named, "both are of this server"
    assert client.embeddings.create(model=f"vllm-embed/{EMBED_MODEL}", input="hello").data

    text.start()
    text.wait(VLLM_READY_SECONDS)
    eventually(lambda: answers(http), BACK_SECONDS)


def answers(http: httpx.Client) -> bool:
    body = {"model": TEXT, "messages": HELLO, "max_tokens": 4}
    return http.post("/v1/chat/completions", json=body).status_code == 200
