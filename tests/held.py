"""What this process holds in memory."""

from __future__ import annotations

import contextlib
import gc
import tracemalloc
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def counting(least_bytes: int = 1) -> Iterator[Callable[[], int]]:
    """Counts the bytes that are held of blocks of this size at least, allocated within."""

    def held() -> int:
        gc.collect()  # what ended calls have left in cycles is held by nobody
        traces = tracemalloc.take_snapshot().traces
        return sum(trace.size for trace in traces if trace.size >= least_bytes)

    tracemalloc.start()
    try:
        yield held
    finally:
        tracemalloc.stop()
