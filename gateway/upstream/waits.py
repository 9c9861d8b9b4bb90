"""How long the door to the servers waits, where no provider says so. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Waits:
    """In seconds. Only tests set others."""

    keep_alive_seconds: float = 3.0
    """vLLM's server closes idle connections after 5 s; ours must be given up before."""
    stale_seconds: float = 1.0
    """A kept connection that ends this soon after it was given a call had ended before it."""
    drain_seconds: float = 1.0
    """To drain a finished stream, so that its connection can be reused."""
    refusal_seconds: float = 10.0
    """For the body of an error."""
    ping_seconds: float = 20.0
    """A WebSocket's server that is silent for so long is pinged, and given up after as long a
    silence again."""
    last_words_seconds: float = 0.03
    """To hand on what is left of a WebSocket's messages once its client is gone."""
    flush_seconds: float = 0.04
    """A WebSocket's server that has not taken a Close by then does not read."""
    closing_seconds: float = 1.0
    """For a server's answer to a Close."""
