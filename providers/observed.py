"""What was last seen of the servers, as frozen values; for calls to read, from any thread. Pure.

The prober and the processes' reports make it; `Lookout` holds the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from uuid import UUID

from providers.homes import NO_HOMES, Homes


class State(Enum):
    """How a server is, as probes see it. Whether it drains is said by its row."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    """A probe failed or was slow; calls still go to it."""
    UNHEALTHY = "unhealthy"
    """Calls go to it only where there is nobody else."""
    MISCONFIGURED = "misconfigured"
    """It refuses the key Aurora has for it, or that key cannot be opened; as unhealthy."""


SHUNNED = frozenset({State.UNHEALTHY, State.MISCONFIGURED})


@dataclass(frozen=True, slots=True)
class Observation:
    """One server at one moment. `running` and `waiting` are calls, as its /metrics count them,
    whoever sent them; `looked` is when they were counted, by the monotonic clock."""

    state: State = State.UNKNOWN
    reason: str = ""
    running: int = 0
    waiting: int = 0
    looked: float = 0.0
    recovered: int = 0
    """Grows each time that probes find it well again: then calls may try it at once."""


NOT_OBSERVED = Observation()


@dataclass(frozen=True, slots=True)
class Observed:
    """All servers, by the id of their provider; how many processes share the installation; and
    where the sessions of all of them are at home."""

    servers: Mapping[UUID, Observation] = field(default_factory=lambda: MappingProxyType({}))
    processes: int = 1
    homes: Homes = NO_HOMES

    def of(self, provider: UUID) -> Observation:
        return self.servers.get(provider, NOT_OBSERVED)


NOTHING_OBSERVED = Observed()


class Lookout:
    """The newest. Reading it costs an attribute, from any thread; a new object is newer."""

    def __init__(self) -> None:
        self._observed = NOTHING_OBSERVED

    def current(self) -> Observed:
        return self._observed

    def publish(self, observed: Observed) -> None:
        self._observed = observed


@dataclass(frozen=True, slots=True)
class Report:
    """What one process sees of one server: its own calls there, and whether it sends more."""

    in_flight: int = 0
    waiting: int = 0
    """Calls that wait in this process for a place at servers of its tier, this one among them."""
    state: str = "closed"
    """Of its circuit breaker: closed, open, half-open or misconfigured."""
    reason: str = ""
    """Why it is not closed, in words for the operator."""


Reports = Callable[[], Mapping[UUID, Report]]
"""What this process sees now, of the servers that there is something to say of. Quick, from any
thread."""
