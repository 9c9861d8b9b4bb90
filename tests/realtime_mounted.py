"""The realtime consumer with its own catalog, served on a real socket for one test."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

from websockets.asyncio.client import ClientConnection, connect

from gateway.consumers import Realtime
from gateway.fleet import Fleet
from gateway.headers import request_id
from gateway.memory import Memory
from gateway.upstream import Door, Waits
from providers.catalog import Catalog
from providers.observed import Lookout
from providers.snapshot import AliasEntry, KeyEntry, ProviderEntry
from tests.mounted import MASTER_KEY, UNHURRIED, UPSTREAM_KEY, Lines, snapshot
from tests.patience import PATIENCE_SECONDS
from tests.processes import soon
from tests.raw_http import Answer, RawClient, request_bytes
from tests.serving import ServerThread

Result = TypeVar("Result")
MODEL = "mistralai/Voxtral-Mini"
PATH = f"/v1/realtime?model=alpha/{MODEL}"
BEARER = {"Authorization": f"Bearer {MASTER_KEY}"}
UPGRADE = (
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


class MountedRealtime:
    """`close` checks what must hold after any test: each session has its one line, none holds a
    secret, nothing runs on."""

    def __init__(
        self,
        thread: ServerThread,
        *,
        waits: Waits = UNHURRIED,
        of_fleet: dict[str, Any] | None = None,
        installation: tuple[str, ...] = (),
        memory: Memory | None = None,
        **options: Any,
    ) -> None:
        self.catalog, self.lookout = Catalog(), Lookout()
        self.fleet = Fleet(self.catalog, self.lookout, **(of_fleet or {}))
        self.used_keys: list[UUID] = []
        self.sessions = 0
        self._lines = Lines()
        self._thread = thread
        self._door = Door(connections=100, waits=waits)
        self._consumer = Realtime.as_asgi(
            catalog=self.catalog,
            door=self._door,
            note_key_use=self.used_keys.append,
            fleet=self.fleet,
            installation=installation,
            memory=memory,
        )
        logging.getLogger("aurora").addHandler(self._lines)
        self.url = thread.start(
            self._counted, **{"drain_seconds": 0.05, "request_id": request_id, **options}
        )
        self.port = urlsplit(self.url).port or 0
        self.server = thread.servers[self.url]

    async def _counted(self, *asgi: Any) -> None:
        self.sessions += 1
        await self._consumer(*asgi)

    def publish(
        self,
        *providers: ProviderEntry,
        keys: dict[str, KeyEntry] | None = None,
        aliases: Iterable[AliasEntry] = (),
    ) -> None:
        self.catalog.publish(snapshot(providers, keys, aliases))

    def connect(self, target: str = PATH, **options: Any) -> connect:
        """A session, to be opened by `async with` or `await`."""
        given: dict[str, Any] = {
            "additional_headers": BEARER,
            "compression": None,
            "max_size": None,
        }
        given |= {"open_timeout": PATIENCE_SECONDS, "close_timeout": PATIENCE_SECONDS, **options}
        return connect(
            f"ws://127.0.0.1:{self.port}{target}", proxy=None, ping_interval=None, **given
        )

    def handshake(self, target: str, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
        """What a handshake is answered that is to be refused."""
        client = RawClient("127.0.0.1", self.port)
        try:
            client.send(request_bytes("GET", target, (*UPGRADE, *headers)))
            return client.read_answer()
        finally:
            client.close()

    async def refusal(self, target: str = PATH, headers: dict[str, str] = BEARER) -> Answer:
        return await asyncio.to_thread(self.handshake, target, tuple(headers.items()))

    async def record(self) -> dict[str, Any]:
        """The line of the only session, once it has ended."""
        [line] = await asyncio.to_thread(self._lines.wait_for, "aurora.calls", 1)
        return line

    @property
    def log_text(self) -> str:
        return "\n".join(text for _, text in self._lines.texts)

    def running(self) -> dict[str, int]:
        """What is under way: sessions, their sockets, tasks of the loop, connections upstream."""
        return self.on_loop(self._running())

    def on_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self.server.loop).result(PATIENCE_SECONDS)

    async def _running(self) -> dict[str, int]:
        session = self._door._transport._session
        connector: Any = session.connector if session is not None else None
        return {
            "sessions": len(self.server.tasks),
            "sockets": len(self.server.websockets),
            "tasks": len(asyncio.all_tasks()) - 1,
            "connections": len(connector._acquired) if connector is not None else 0,
        }

    def close(self) -> None:
        idle = soon(lambda: not any(self.running().values()), PATIENCE_SECONDS)
        running = self.running()
        lines = self._lines.of("aurora.calls")
        self._thread.stop(self.url)
        self.on_loop(self._door.aclose())
        logging.getLogger("aurora").removeHandler(self._lines)
        assert idle, f"still under way: {running}"
        assert len(lines) == self.sessions
        assert [
            report.in_flight for report in self.fleet.reports().values() if report.in_flight
        ] == []
        for secret in (MASTER_KEY, UPSTREAM_KEY):
            assert secret not in self.log_text


def end_of(client: ClientConnection) -> tuple[int | None, str | None]:
    """The Close frame that the client got; 1006 without one."""
    received = client.protocol.close_rcvd
    return (received.code, received.reason) if received else (1006, "")
