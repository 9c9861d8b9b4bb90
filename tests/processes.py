"""What every test that runs a process or waits for something needs: ports, environments, patience."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeVar

OURS = ("AURORA_", "VLLM_", "DATABASE_URL", "DJANGO_")
"""How the variables begin that steer Aurora, vLLM or Django."""
NONE: Mapping[str, str] = MappingProxyType({})
LOOK_SECONDS = 0.01

T = TypeVar("T")


def free_port(wanted: int = 0) -> int:
    """`wanted` if nothing listens there, else a port of loopback that was free a moment ago."""
    try:
        with socket.create_server(("127.0.0.1", wanted)) as listener:
            return int(listener.getsockname()[1])
    except OSError:
        if not wanted:
            raise
        return free_port()


def clean_environment(settings: Mapping[str, str] = NONE) -> dict[str, str]:
    """This process's environment without what steers vLLM or Aurora, then `settings`."""
    foreign = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    return {**foreign, **settings}


def soon(look: Callable[[], T], seconds: float) -> T:
    """The first true value of `look`, or the last one once `seconds` have passed."""
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)
    return found


def eventually(look: Callable[[], T], seconds: float) -> T:
    """The first true value of `look`. AssertionError, with the last one, if none comes in time."""
    found = soon(look, seconds)
    assert found, f"not so within {seconds} s, but {found!r}"
    return found
