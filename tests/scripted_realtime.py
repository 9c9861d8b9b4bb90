"""A vLLM server's realtime side on a real socket, which does as it is told; in the test's own loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from tests.patience import PATIENCE_SECONDS

Script = Callable[[ServerConnection], Awaitable[None]]


@dataclass(frozen=True)
class Opened:
    """A handshake as it came in."""

    path: str
    headers: list[tuple[str, str]]

    def values(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key.lower() == name]


@dataclass(frozen=True)
class Ended:
    """How the client ended a session: the Close frame it sent (1006: none)."""

    code: int
    reason: str


async def echo(session: ServerConnection) -> None:
    async for message in session:
        await session.send(message)


async def until_closed(session: ServerConnection) -> None:
    """Reads nothing but the end."""
    await session.wait_closed()


class ScriptedRealtime:
    """Each session runs the next script, `echo` if there is none; `opened` holds the handshakes."""

    def __init__(self) -> None:
        self.opened: list[Opened] = []
        self.subprotocol: Subprotocol | None = None
        self.refuses: tuple[int, str] | None = None
        self.delay = asyncio.Event()
        """Until it is set, handshakes are not answered."""
        self.delay.set()
        self.receive_buffer_messages = 16
        self._scripts: deque[Script] = deque()
        self._ended: asyncio.Queue[Ended] = asyncio.Queue()
        self._began: asyncio.Queue[ServerConnection] = asyncio.Queue()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def will(self, script: Script) -> None:
        self._scripts.append(script)

    async def began(self, seconds: float = PATIENCE_SECONDS) -> ServerConnection:
        """The next session that has begun."""
        return await asyncio.wait_for(self._began.get(), seconds)

    async def ended(self, seconds: float = PATIENCE_SECONDS) -> Ended:
        """How the next session ended, once it has."""
        return await asyncio.wait_for(self._ended.get(), seconds)

    async def __aenter__(self) -> Self:
        self._server: Server = await serve(
            self._run,
            "127.0.0.1",
            0,
            compression=None,
            max_size=None,
            max_queue=self.receive_buffer_messages,
            ping_interval=None,
            open_timeout=PATIENCE_SECONDS,
            close_timeout=PATIENCE_SECONDS,
            process_request=self._look_at,
            select_subprotocol=lambda session, offered: self.subprotocol,
        )
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for session in list(self._server.connections):
            session.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    async def _look_at(self, session: ServerConnection, request: Request) -> Response | None:
        self.opened.append(Opened(request.path, list(request.headers.raw_items())))
        await self.delay.wait()
        if self.refuses is None:
            return None
        status, body = self.refuses
        return session.respond(status, body)

    async def _run(self, session: ServerConnection) -> None:
        self._began.put_nowait(session)
        try:
            await (self._scripts.popleft() if self._scripts else echo)(session)
            await session.close()
        except ConnectionClosed:
            pass
        await session.wait_closed()
        sent = session.protocol.close_rcvd
        code, reason = (sent.code, sent.reason) if sent else (1006, "")
        self._ended.put_nowait(Ended(code, reason))
