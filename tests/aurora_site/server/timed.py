"""A server whose limits are reached when a test says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.aurora_site.server.client import Client
from tests.clock import Clock

HEAD_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 30.0
STALL_SECONDS = 60.0
PING_SECONDS = 20.0


class TimedServer:
    """Serves `application`. Only what a test lets pass is time for its limits."""

    def __init__(self, serve: Callable[..., str], application: Callable[..., Any]) -> None:
        self._clock = Clock()
        self.url = serve(
            application,
            clock=self._clock,
            sweep_seconds=0.005,
            head_seconds=HEAD_SECONDS,
            keep_alive_seconds=KEEP_ALIVE_SECONDS,
            client_stall_seconds=STALL_SECONDS,
            ping_seconds=PING_SECONDS,
        )

    def take_in(self) -> None:
        """Wait until the server has all that was sent to it: it refuses this, which comes last."""
        with Client(self.url) as last:
            assert last.send(b"NONSENSE\r\n\r\n").answer().status == 400

    def let_pass(self, seconds: float) -> None:
        """With all that comes of it: one that sends no head is ended with the others."""
        with Client(self.url) as silent:
            self.take_in()
            self._clock.let_pass(seconds)
            if seconds > HEAD_SECONDS:
                assert silent.closed()
