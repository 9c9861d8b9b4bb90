"""A scripted server and the consumer in front of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.upstream import Waits
from tests.mounted import provider
from tests.realtime_mounted import MODEL, MountedRealtime
from tests.scripted_realtime import ScriptedRealtime
from tests.serving import ServerThread


@pytest.fixture
async def vllm(anyio_backend: str) -> AsyncIterator[ScriptedRealtime]:
    async with ScriptedRealtime() as server:
        yield server


@pytest.fixture
def options() -> dict[str, Any]:
    """Of the server; a test that needs others parametrizes them."""
    return {}


@pytest.fixture
async def gateway(
    server_thread: ServerThread, vllm: ScriptedRealtime, options: dict[str, Any], waits: Waits
) -> AsyncIterator[MountedRealtime]:
    """Knows `vllm` as the provider `alpha`, and one master key."""
    mounted = MountedRealtime(server_thread, waits=waits, **options)
    mounted.publish(provider(vllm.url, models=(MODEL,)))
    yield mounted
    await asyncio.to_thread(mounted.close)
