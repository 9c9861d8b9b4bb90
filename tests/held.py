"""What this process holds in memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import msgspec

from tests.scripted_vllm import Received

LEAST_BYTES = 2**10
LOOK_SECONDS = 30.0
"""For a few looks: each takes seconds once thousands of tests have run."""


def held_bytes(mark: bytes) -> int:
    """Of all but what the fake servers received: how much of it has this mark."""
    gc.unfreeze()  # what was there before may hold it too
    gc.collect()  # what ended calls and tests have left in cycles is held by nobody
    seen: dict[int, int] = {}
    for holder in (each for each in gc.get_objects() if not isinstance(each, Received)):
        for held in _within(holder):
            size = memoryview(held).nbytes
            if size > LEAST_BYTES and mark in bytes(held):
                seen[id(held)] = size
    return sum(seen.values())


def _within(holder: Any) -> Iterator[bytes | msgspec.Raw]:
    """What it holds itself, or in what the garbage collector does not list: a dict of such values
    is of no interest to it."""
    for held in gc.get_referents(holder):
        if isinstance(held, bytes | msgspec.Raw):
            yield held
        elif isinstance(held, dict | tuple) and not gc.is_tracked(held):
            yield from _within(held)
