"""How a provider is, in a word and with its reason: the one rule, for the admin and the API. Pure.

What is known comes from three sides: the installation's prober, what calls of each process led to,
and discovery. `health_rows` reads it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from providers.observed import Report, State

TRUSTED_SECONDS = 30
"""A probe older than this says nothing of now. Two probes of a silent server may end 20 s apart, and
it may take 8 s until the row of one that is as it was says so."""


class Standing(StrEnum):
    """Of two that hold, the one that stands first here counts."""

    DISABLED = "disabled"
    DRAINING = "draining"
    MISCONFIGURED = "misconfigured"
    UNHEALTHY = "unhealthy"
    DEGRADED = "degraded"
    HEALTHY = "healthy"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Condition:
    """`reason` is a sentence for the operator, with what servers said in it; `since` is None where
    nobody noted it."""

    standing: Standing
    reason: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Probe:
    """What the last probe found, and when."""

    state: State
    checked: datetime
    reason: str = ""
    since: datetime | None = None

    def is_of_now(self, now: datetime) -> bool:
        return now - self.checked <= timedelta(seconds=TRUSTED_SECONDS)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is known of one provider. `reports` are those of running processes, of which there
    are `processes`: one without a report sees nothing amiss. `misconfigured` is what discovery
    says of a key or a list of models that is not as it should be."""

    enabled: bool = True
    draining: bool = False
    probe: Probe | None = None
    reports: tuple[Report, ...] = ()
    processes: int = 1
    misconfigured: str = ""

    @property
    def in_flight(self) -> int:
        """Calls that run on it, of all processes."""
        return sum(report.in_flight for report in self.reports)


def judge(facts: Facts, now: datetime) -> Condition:
    """The worst that holds, by the order of Standing; of two alike what the probe says, then what
    calls say."""
    if not facts.enabled:
        return Condition(Standing.DISABLED, "No call goes to it.")
    if facts.draining:
        return Condition(Standing.DRAINING, f"It gets no new call; {_running(facts.in_flight)}.")
    order = list(Standing)
    found = [_probed(facts.probe, now), *_reported(facts), *_discovered(facts)]
    return min(found, key=lambda condition: order.index(condition.standing))


def _running(in_flight: int) -> str:
    if not in_flight:
        return "none is running any more"
    return "1 call is still running" if in_flight == 1 else f"{in_flight} calls are still running"


def _probed(probe: Probe | None, now: datetime) -> Condition:
    if probe is None:
        return Condition(Standing.UNKNOWN, "Not probed yet.")
    if probe.is_of_now(now):
        return Condition(Standing(probe.state.value), probe.reason, probe.since)
    return Condition(
        Standing.UNKNOWN,
        f"No recent probe. The last one, at {probe.checked:%Y-%m-%d %H:%M:%S} UTC, found it"
        f" {probe.state.value}.",
    )


def _reported(facts: Facts) -> Iterator[Condition]:
    """What the circuit breakers of the processes say, as far as it is not all well."""
    wrong, opened, tried = (
        [report for report in facts.reports if report.state == state]
        for state in ("misconfigured", "open", "half-open")
    )
    if wrong:
        yield Condition(Standing.MISCONFIGURED, wrong[0].reason)
    if opened:
        in_all = len(opened) >= facts.processes
        standing = Standing.UNHEALTHY if in_all else Standing.DEGRADED
        yield Condition(standing, _counted("Calls to it fail", opened, facts.processes))
    if tried:
        yield Condition(
            Standing.DEGRADED, _counted("It is tried with one call", tried, facts.processes)
        )


def _counted(what: str, reports: list[Report], processes: int) -> str:
    """`what` in how many of the processes, and the first reason that any of them has."""
    where = f" in {len(reports)} of {processes} processes" if processes > 1 else ""
    reason = next((report.reason for report in reports if report.reason), "")
    return f"{what}{where}: {reason}" if reason else f"{what}{where}."


def _discovered(facts: Facts) -> Iterator[Condition]:
    if facts.misconfigured:
        yield Condition(Standing.MISCONFIGURED, facts.misconfigured)
