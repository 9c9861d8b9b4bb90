"""A wire between Aurora and its database that can be made slow, or cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

READ_BYTES = 256 * 1024


@dataclass(slots=True)
class Link:
    """Forwards connections of `port`. Each direction takes `delay_seconds` longer than without it."""

    target: tuple[str, int]
    delay_seconds: float = 0.0
    port: int = 0
    is_cut: bool = False
    _ends: set[asyncio.StreamWriter] = field(default_factory=set)

    def cut(self) -> None:
        """Abort what is connected, and every new connection at once, until `mend`."""
        self.is_cut = True
        for end in list(self._ends):
            end.transport.abort()

    def mend(self) -> None:
        self.is_cut = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_cut:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        self._ends |= {writer, far_writer}
        try:
            await self._forward_both(reader, writer, far_reader, far_writer)
        finally:
            self._ends -= {writer, far_writer}

    async def _forward_both(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        far_reader: asyncio.StreamReader,
        far_writer: asyncio.StreamWriter,
    ) -> None:
        # Cancelled as the trial ends: asyncio's streams would print a traceback for each.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._forward(reader, far_writer), self._forward(far_reader, writer)
            )

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pieces keep their distance: one is late by the delay, not by those before it."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while piece := await reader.read(READ_BYTES):
                loop.call_later(self.delay_seconds, _write, writer, piece)
        loop.call_later(self.delay_seconds, writer.close)


def _write(writer: asyncio.StreamWriter, piece: bytes) -> None:
    if not writer.is_closing():
        writer.write(piece)


@contextlib.asynccontextmanager
async def open_link(host: str, port: int, delay_seconds: float = 0.0) -> AsyncIterator[Link]:
    """A link to `host:port` on a free port of loopback, for the length of an `async with`."""
    link = Link((host, port), delay_seconds)
    async with await asyncio.start_server(link._accept, "127.0.0.1", 0) as server:
        link.port = server.sockets[0].getsockname()[1]
        try:
            yield link
        finally:
            link.cut()
