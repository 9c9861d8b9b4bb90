"""Changes are timed from their answer until calls go by them, against a server that misbehaves too."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from bench import live, mock
from bench.client import Server
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio

ISSUED = json.dumps({"id": "1", "secret": "of-the-key"}).encode()


class Keys:
    """Knows of changes only when it has been asked so often by the key's holder."""

    def __init__(self, looks: int) -> None:
        self._looks, self._left, self._works = looks, 0, False

    def answer(self, head: bytes) -> bytes:
        if head.startswith(b"POST"):
            self._left, self._works = self._looks, not self._works
            return mock.answer(ISSUED)
        self._left -= 1
        knows = self._left < 0
        status = "200 OK" if knows is self._works else "401 Unauthorized"
        return mock.answer(b"{}", status)

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[Server]:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(self.answer(await reader.readuntil(b"\r\n\r\n")))
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
            yield Server("keys", server.sockets[0].getsockname()[1], mock.MODEL, "master")


async def test_a_change_takes_until_the_first_call_that_goes_by_it() -> None:
    async with Keys(looks=3).serve() as server:
        found = await live.key_changes(server, 2)

    assert found.bad == {}
    assert found.worst_ms >= found.p50_ms >= 3 * live.LOOK_SECONDS * 1000


async def test_a_change_that_is_never_live_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MOST_SECONDS", 0.02)
    async with Keys(looks=1000).serve() as server:
        found = await live.key_changes(server, 1)

    assert found.bad == {"a key that never worked": 1, "a revoked key that went on working": 1}


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """Waits until it is ended."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as waiting:
        yield waiting


async def test_a_stop_takes_until_the_process_has_ended(process: subprocess.Popen[bytes]) -> None:
    async with Keys(looks=0).serve() as server:
        assert await live.stop(server, process.pid) > 0
    assert process.wait(PATIENCE_SECONDS) == -signal.SIGTERM
