"""What every test that runs a process or waits for something needs: ports, environments, patience."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import sys
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
    """`wanted` if nobody has it, else a port of loopback for a server that takes its time to start.

    Until this process ends neither the system gives it to anybody, nor this function, here or in
    another process.
    """
    chance = random.SystemRandom()  # a seed of the tests' would give all workers the same
    for port in (wanted or chance.choice(PORTS), *chance.sample(PORTS, 50)):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            _claim(port)
            return port
    raise OSError("no port of loopback is free")


def _claim(port: int) -> None:
    """Raises OSError where a living process has claimed it."""
    if sys.platform != "linux":
        return
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0aurora-free-port-{port}")
    except OSError:
        claim.close()
        raise
    claim.detach()  # kept open until the process ends


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
