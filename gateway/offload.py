"""Work that grows with what callers and servers send: what is small is done at once, what is large on
threads beside the loop.

The threads share the interpreter with the loop, which gets it back within half a millisecond (see
`serve`), but for a single step within C code: of the largest bodies such a step takes tens of
milliseconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

INLINE_BYTES = 256 * 2**10
"""Up to here the work takes some milliseconds, whatever the bytes are."""
MOST_AT_ONCE = 2
"""Threads, for each of Aurora's processes."""

P = ParamSpec("P")
T = TypeVar("T")


class Offload:
    """However much large work comes at once, the loop's own threads, which look up the names of
    servers, stay free."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, "aurora-large")

    async def run(
        self, size_bytes: int, work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """What `work` gives, which grows with `size_bytes`. Given up, it may still run: it must not
        change what is looked at afterwards."""
        if size_bytes <= INLINE_BYTES:
            return work(*arguments, **named)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments, **named))

    async def run_to_the_end(
        self, size_bytes: int, work: Callable[P, T], *arguments: P.args, **named: P.kwargs
    ) -> T:
        """As `run`, for work on what is looked at afterwards: where this is cancelled, the work has
        ended by the time that the cancelling goes on."""
        if size_bytes <= INLINE_BYTES:
            return work(*arguments, **named)
        job = self._threads.submit(partial(work, *arguments, **named))
        done = asyncio.wrap_future(job)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            if not job.cancel():
                await asyncio.wait({done})
            raise
