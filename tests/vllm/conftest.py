"""Real vLLM servers, Aurora as a process of its own, and the clients that talk to them.

A server takes half a minute of a processor to start: all start at once, one for each kind of model
and another for text, and each starts once but for the one that is killed.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import httpx
import openai
import pytest

from tests.vllm import servers

MASTER_KEY = "sk-aurora-lane-0123456789abcdef"
ADMIN_PASSWORD = "correct-horse-battery"
VLLM_KEY = "token-abc123"
HANG_SECONDS = 900
"""Of a test with the fixtures that it is the first to ask for."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(HANG_SECONDS))


@pytest.fixture(scope="session", autouse=True)
def before_vllm() -> None:
    """The client gets its turn while vLLM computes; the servers started later do not inherit it.

    A run that is cancelled by SIGTERM ends as by Ctrl-C: with its servers stopped.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    servers.run_before_others(os.getpid(), alone=True)


@pytest.fixture(scope="session")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("logs")


@pytest.fixture(scope="session")
def fleet(logs: Path) -> Iterator[dict[str, servers.Server]]:
    """`text` and `spare`, alike, with a key; one of each other kind without; all ready."""
    flags = ("--api-key", VLLM_KEY, *servers.TEXT_FLAGS)
    fleet = {
        "text": servers.vllm("llama", servers.TEXT_MODEL, logs / "text.log", *flags),
        "spare": servers.vllm("llama", servers.TEXT_MODEL, logs / "spare.log", *flags),
        "embed": servers.vllm("embed", servers.EMBED_MODEL, logs / "embed.log"),
        "rerank": servers.vllm("rerank", servers.RERANK_MODEL, logs / "rerank.log"),
        "classify": servers.vllm("classify", servers.CLASSIFY_MODEL, logs / "classify.log"),
    }
    try:
        for server in fleet.values():
            server.start()
        for server in fleet.values():
            server.wait(servers.VLLM_READY_SECONDS)
        yield fleet
    finally:
        for server in fleet.values():
            server.stop()


@pytest.fixture(scope="session")
def text(fleet: dict[str, servers.Server]) -> servers.Server:
    return fleet["text"]


@pytest.fixture(scope="session")
def spare(fleet: dict[str, servers.Server]) -> servers.Server:
    """Another server of the text model. The lane's own Aurora does not know it; tests kill it."""
    return fleet["spare"]


@pytest.fixture(scope="session")
def embed(fleet: dict[str, servers.Server]) -> servers.Server:
    return fleet["embed"]


@pytest.fixture(scope="session")
def aurora(
    fleet: dict[str, servers.Server],
    tmp_path_factory: pytest.TempPathFactory,
    logs: Path,
) -> Iterator[servers.Server]:
    """Knows a server of each kind, and that of text once more as one to be translated for."""
    text = fleet["text"].url
    plain = {"type": "vllm", "base_url": text + "/v1", "api_key": VLLM_KEY}
    server = servers.aurora(
        tmp_path_factory.mktemp("data"),
        servers.free_port(),
        logs / "aurora.log",
        {"vllm": plain, "forced": {**plain, "translation": "always"}},
        AURORA_MASTER_KEY=MASTER_KEY,
        AURORA_ADMIN_PASSWORD=ADMIN_PASSWORD,
        VLLM_EMBED_BASE_URL=fleet["embed"].url,
        VLLM_RERANK_BASE_URL=fleet["rerank"].url,
        VLLM_CLASSIFY_BASE_URL=fleet["classify"].url,
    )
    server.start()
    try:
        server.wait(servers.AURORA_READY_SECONDS)
        servers.wait_for_models(server, MASTER_KEY, count=5)
        yield server
    finally:
        server.stop()


def sdk(url: str, key: str) -> openai.OpenAI:
    """The official client, as it comes but for repeating: a test sees each answer."""
    return openai.OpenAI(base_url=url + "/v1", api_key=key, max_retries=0, timeout=60)


@pytest.fixture(scope="session")
def client(aurora: servers.Server) -> Iterator[openai.OpenAI]:
    with sdk(aurora.url, MASTER_KEY) as client:
        yield client


@pytest.fixture(scope="session")
def text_itself(text: servers.Server) -> Iterator[openai.OpenAI]:
    """Straight to the text server, past Aurora."""
    with sdk(text.url, VLLM_KEY) as client:
        yield client


@pytest.fixture(scope="session")
def embed_itself(embed: servers.Server) -> Iterator[openai.OpenAI]:
    """Straight to the embedding server, past Aurora."""
    with sdk(embed.url, "none") as client:
        yield client


@pytest.fixture(scope="session")
def http(aurora: servers.Server) -> Iterator[httpx.Client]:
    """Plain HTTP to Aurora, with the master key."""
    headers = {"Authorization": f"Bearer {MASTER_KEY}"}
    with httpx.Client(base_url=aurora.url, headers=headers, timeout=60) as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test comes with the last lines of Aurora's log."""
    report = yield
    server = getattr(item, "funcargs", {}).get("aurora")
    if report.failed and server is not None:
        report.sections.append(("Aurora's log", server.tail()))
    return report
