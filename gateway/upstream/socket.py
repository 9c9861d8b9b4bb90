"""A WebSocket to a vLLM server: messages as they come, sends that wait, an end that is prompt."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from types import TracebackType
from typing import Self

import aiohttp

from gateway.errors import UpstreamBroke, UpstreamTimeout
from gateway.realtime import GOING_AWAY, NO_CODE, TOO_LARGE, Closed
from gateway.turns import Turns
from gateway.upstream.transport import Upgraded
from gateway.upstream.waits import Waits
from providers.snapshot import ProviderEntry

MOST_MESSAGE_BYTES = 16 * 2**20
"""A longer message, from either side, ends the session with 1009."""


class Socket:
    """Close it, best by `async with`. `subprotocol` is the one that the server chose."""

    def __init__(self, provider: ProviderEntry, upgraded: Upgraded, waits: Waits) -> None:
        self.provider, self.waits = provider, waits
        self._ws, self._connection = upgraded.socket, upgraded.connection
        self.subprotocol = self._ws.protocol
        self._server_closed: Closed | None = None
        self._is_closed = False
        self._turns = Turns()

    async def receive(self) -> str | bytes | Closed:
        """The next message, or how the server closed.

        Raises UpstreamBroke where the connection just ends or carries nonsense, UpstreamTimeout
        for a server that does not answer a ping.
        """
        pinged = False
        while True:
            try:
                message = await self._ws.receive(timeout=self.waits.ping_seconds)
            except TimeoutError:
                if pinged:
                    raise UpstreamTimeout(f"{self._name} answered no ping.") from None
                pinged = True
                await self._write(b"", aiohttp.WSMsgType.PING)
                continue
            pinged = False
            if self._turns.are_over():
                await asyncio.sleep(0)
            if message.type is aiohttp.WSMsgType.TEXT:
                return str(message.data)
            if message.type is aiohttp.WSMsgType.BINARY:
                return bytes(message.data)
            if message.type is aiohttp.WSMsgType.PING:
                await self._write(bytes(message.data), aiohttp.WSMsgType.PONG)
            elif message.type is not aiohttp.WSMsgType.PONG:
                return self._ended(message)

    def _ended(self, message: aiohttp.WSMessage) -> Closed:
        if message.type is aiohttp.WSMsgType.CLOSE:
            self._server_closed = Closed(message.data or NO_CODE, message.extra or "")
            return self._server_closed
        error = message.data
        if isinstance(error, aiohttp.WebSocketError):
            if error.code == TOO_LARGE:
                return Closed(TOO_LARGE, f"A message of more than {MOST_MESSAGE_BYTES} bytes")
            raise UpstreamBroke(f"{self._name} sent what is no WebSocket frame.")
        raise UpstreamBroke(f"{self._name} broke the connection off.")

    async def send(self, message: str | bytes) -> None:
        """Returns once the server has taken enough. Raises UpstreamBroke, or UpstreamTimeout for a
        server that takes nothing for the provider's `idle_seconds`."""
        if isinstance(message, str):
            await self._write(message.encode(), aiohttp.WSMsgType.TEXT)
        else:
            await self._write(message, aiohttp.WSMsgType.BINARY)

    async def _write(self, payload: bytes, kind: aiohttp.WSMsgType) -> None:
        try:
            async with asyncio.timeout(self.provider.idle_seconds):
                await self._ws.send_frame(payload, kind)
        except TimeoutError:
            raise UpstreamTimeout(f"{self._name} took nothing for too long.") from None
        except (aiohttp.ClientError, ConnectionError) as error:
            raise UpstreamBroke(f"{self._name} broke the connection off.") from error

    async def close(self, closed: Closed) -> None:
        """Say Close, wait a little for the answer, and end the connection: by a reset if none came.
        The first call counts."""
        if self._is_closed:
            return
        self._is_closed = True
        try:
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                async with asyncio.timeout(self.waits.flush_seconds):
                    await self._say(self._server_closed or closed)
                async with asyncio.timeout(self.waits.closing_seconds):
                    await self._until_answered()
        finally:
            if self._server_closed is None:
                self._connection.cut()
            self._ws._response.close()

    async def _say(self, closed: Closed) -> None:
        payload = b""
        if closed.code != NO_CODE:
            payload = struct.pack("!H", closed.code) + closed.reason.encode()
        await self._ws.send_frame(payload, aiohttp.WSMsgType.CLOSE)
        await self._connection.until_sent()

    async def _until_answered(self) -> None:
        while self._server_closed is None:
            message = await self._ws.receive()
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                return
            if message.type is aiohttp.WSMsgType.CLOSE:
                self._ended(message)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close(Closed(GOING_AWAY))

    @property
    def _name(self) -> str:
        return f"The provider {self.provider.name!r}"
