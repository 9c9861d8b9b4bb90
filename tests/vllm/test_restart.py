"""A vLLM server dies for good. After the fleet's tests, which have it come back."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from tests.processes import free_port
from tests.vllm import servers
from tests.vllm.conftest import MASTER_KEY, VLLM_KEY, sdk
from tests.vllm.servers import EMBED_MODEL, TEXT_MODEL, Server
from tests.vllm.test_chat import HELLO, long_stream


@pytest.fixture
def aurora(spare: Server, embed: Server, tmp_path: Path) -> Iterator[Server]:
    """Knows the text model by `spare` alone."""
    server = servers.aurora(
        tmp_path / "data",
        free_port(),
        tmp_path / "aurora.log",
        {"vllm": {"type": "vllm", "base_url": f"{spare.url}/v1", "api_key": VLLM_KEY}},
        AURORA_MASTER_KEY=MASTER_KEY,
        VLLM_EMBED_BASE_URL=embed.url,
    )
    server.start()
    try:
        server.wait(servers.AURORA_READY_SECONDS)
        servers.wait_for_models(server, MASTER_KEY, count=2)
        yield server
    finally:
        server.stop()


def test_a_server_that_dies_is_named_and_others_serve_on(aurora: Server, spare: Server) -> None:
    with sdk(aurora.url, MASTER_KEY) as client:
        with long_stream(client) as stream:
            next(iter(stream))
            spare.stop(signal.SIGKILL)
            with pytest.raises(openai.APIError, match="vllm"):
                list(stream)

        with pytest.raises(openai.InternalServerError, match="The provider 'vllm' ") as refused:
            client.chat.completions.create(model=TEXT_MODEL, messages=HELLO)
        assert refused.value.status_code == 502
        assert client.embeddings.create(model=EMBED_MODEL, input="hello").data
