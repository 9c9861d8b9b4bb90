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
    is_known: bool = True
    """False: the server has not told its load. Calls are routed as if it had none."""


NO_LOAD = Load(is_known=False)


def load(text: bytes) -> Load:
    """The sums over all engines and models; NO_LOAD where neither gauge is there. A gauge that is
    missing or no number counts as none."""
    sums, gauges = {b"running": 0.0, b"waiting": 0.0}, _GAUGE.findall(text)
    if not gauges:
        return NO_LOAD
    for name, value in gauges:
        sums[name] += _number(value)
    running, waiting = (int(min(number, MOST_CALLS)) for number in sums.values())
    return Load(running, waiting)


def _number(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0
