"""What tests of several folders share."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from gateway.client import Limits
from gateway.upstream import Waits
from tests.mounted import NO_HURRY, UNHURRIED, MountedGateway, provider
from tests.scripted_vllm import ScriptedVllm
from tests.serving import ServerThread

pytest_plugins = (
    "tests.plugins.databases",
    "tests.plugins.emptying",
    "tests.plugins.examples",
    "tests.plugins.left_out",
    "tests.plugins.order",
    "tests.plugins.selecting",
    "tests.plugins.workers",
)


@pytest.fixture(scope="module", autouse=True)
def short_collections() -> None:
    """What is there when a module begins, such as thousands of tests and what those before have
    left, is not looked at by the garbage collector again: a full collection would stop the servers
    of this process for a second. So nobody is warned of what of it becomes garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def server_thread() -> Iterator[ServerThread]:
    """The one reactor of the process."""
    thread = ServerThread()
    yield thread
    thread.stop()


@pytest.fixture
def vllm() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


@pytest.fixture
def limits() -> Limits:
    """What a client may ask of `gateway`; a test that needs others parametrizes them."""
    return NO_HURRY


@pytest.fixture
def waits() -> Waits:
    """How long the door of `gateway` waits; a test that needs others parametrizes them."""
    return UNHURRIED


@pytest.fixture
def gateway(
    server_thread: ServerThread, vllm: ScriptedVllm, limits: Limits, waits: Waits
) -> Iterator[MountedGateway]:
    """Knows `vllm` as the provider `alpha`, and one master key."""
    mounted = MountedGateway(server_thread, limits, waits=waits)
    mounted.publish(provider(vllm.url))
    yield mounted
    mounted.close()
