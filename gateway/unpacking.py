"""Packed bodies, unpacked beside the loop by threads of their own."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from gateway import encodings

MOST_AT_ONCE = 2
"""For each of Aurora's processes. A thread takes up to a second for a body."""


class Unpacker:
    """However many packed bodies come at once, the loop's own threads, which look up the names of
    servers, stay free."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "aurora-unpacking")

    async def unpacked(self, body: bytes, encoding: str, most_bytes: int) -> bytes:
        """Raises what `encodings.unpacked` raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._threads, encodings.unpacked, body, encoding, most_bytes
        )
