"""What a vLLM server's /metrics says of its load. Pure.

The format is Prometheus's text exposition; vLLM's documentation lists its metrics.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

MOST_CALLS = 1_000_000
_GAUGE = re.compile(
    rb"^vllm:num_requests_(running|waiting)(?:\{[^\n]*\})?[ \t]+([0-9][0-9.eE+]{0,30})"
    rb"(?:[ \t]+[0-9]{1,20})?[ \t\r]*$",
    re.MULTILINE,
)
"""Each number is bounded, so that no line takes long."""


@dataclass(frozen=True, slots=True)
class Load:
    """Calls that a server works on, and calls that it has queued."""

    running: int = 0
    waiting: int = 0


NO_LOAD = Load()


def load(text: bytes) -> Load:
    """The sums over all engines and models. What is missing or no number counts as none."""
    sums = {b"running": 0.0, b"waiting": 0.0}
    for name, value in _GAUGE.findall(text):
        sums[name] += _number(value)
    return Load(*(int(min(sums[name], MOST_CALLS)) for name in (b"running", b"waiting")))


def _number(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0
