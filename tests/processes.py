"""What every test that runs a process or waits for something needs: ports, environments, patience."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

from tests.patience import PATIENCE_SECONDS

OURS = ("AURORA_", "VLLM_", "DATABASE_URL", "DJANGO_")
"""How the variables begin that steer Aurora, vLLM or Django."""
NONE: Mapping[str, str] = MappingProxyType({})
LOOK_SECONDS, MOST_LOOK_SECONDS = 0.01, 0.1
"""Between two looks: ever longer, so that a long wait leaves the processor to what it waits for."""
PORTS = range(20_000, 30_000)
"""Below those that systems give to whoever asks for any."""

T = TypeVar("T")


def free_port(wanted: int = 0) -> int:
    """`wanted` if nothing listens there, else a port of loopback that was free a moment ago: one
    that the system gives nobody of its own accord, so that it stays so until a server that takes
    its time to start listens there."""
    for port in (wanted or random.choice(PORTS), *random.sample(PORTS, 50)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port of loopback is free")


def clean_environment(settings: Mapping[str, str] = NONE) -> dict[str, str]:
    """This process's environment without what steers vLLM or Aurora, then `settings`."""
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**foreign, **settings}


def soon(look: Callable[[], T], seconds: float) -> T:
    """The first true value of `look`, or the last one once `seconds` have passed."""
    end, pause = time.monotonic() + seconds, LOOK_SECONDS
    while not (found := look()) and time.monotonic() < end:
        time.sleep(pause)
        pause = min(1.2 * pause, MOST_LOOK_SECONDS)
    return found


def eventually(look: Callable[[], T], seconds: float = PATIENCE_SECONDS) -> T:
    """The first true value of `look`. AssertionError, with the last one, if none comes in time."""
    found = soon(look, seconds)
    assert found, f"not so within {seconds} s, but {found!r}"
    return found
