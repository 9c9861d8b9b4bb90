"""How a provider is: the whole rule, as a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from providers.health import TRUSTED_SECONDS, Condition, Facts, Probe, Standing, judge
from providers.observed import Report, State

NOW = datetime(2026, 11, 25, 6, 0, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(hours=3)


def probed(state: State, reason: str = "", *, seconds_ago: float = 1) -> Probe:
    return Probe(state, NOW - timedelta(seconds=seconds_ago), reason, LONG_AGO)


WELL = probed(State.HEALTHY)
OPEN = Report(state="open", reason="connection refused")
HALF = Report(state="half-open", reason="connection refused")
WRONG = Report(state="misconfigured", reason="It refuses the API key.")
FINE = Report(in_flight=2)


@pytest.mark.parametrize(
    ("facts", "standing", "reason"),
    [
        ({}, "unknown", "Not probed yet."),
        ({"processes": 0}, "unknown", "Not probed yet."),
        ({"probe": probed(State.UNKNOWN)}, "unknown", ""),
        ({"probe": WELL}, "healthy", ""),
        ({"probe": WELL, "reports": (FINE, FINE), "processes": 2}, "healthy", ""),
        ({"probe": probed(State.DEGRADED, "slow")}, "degraded", "slow"),
        ({"probe": probed(State.UNHEALTHY, "refused")}, "unhealthy", "refused"),
        ({"probe": probed(State.MISCONFIGURED, "401")}, "misconfigured", "401"),
        # what calls led to
        ({"probe": WELL, "reports": (OPEN,)}, "unhealthy", "Calls to it fail: connection refused"),
        (
            {"probe": WELL, "reports": (OPEN,), "processes": 2},
            "degraded",
            "Calls to it fail in 1 of 2 processes: connection refused",
        ),
        (
            {"probe": WELL, "reports": (OPEN, FINE), "processes": 2},
            "degraded",
            "Calls to it fail in 1 of 2 processes: connection refused",
        ),
        (
            {"probe": WELL, "reports": (OPEN, OPEN), "processes": 2},
            "unhealthy",
            "Calls to it fail in 2 of 2 processes: connection refused",
        ),
        (
            {"probe": WELL, "reports": (Report(state="open"), OPEN), "processes": 3},
            "degraded",
            "Calls to it fail in 2 of 3 processes: connection refused",
        ),
        ({"probe": WELL, "reports": (Report(state="open"),)}, "unhealthy", "Calls to it fail."),
        (
            {"probe": WELL, "reports": (HALF,)},
            "degraded",
            "It is tried with one call: connection refused",
        ),
        (
            {"probe": WELL, "reports": (HALF, OPEN), "processes": 2},
            "degraded",
            "Calls to it fail in 1 of 2 processes: connection refused",
        ),
        (
            {"probe": WELL, "reports": (FINE, WRONG), "processes": 2},
            "misconfigured",
            "It refuses the API key.",
        ),
        ({"probe": WELL, "reports": (Report(state="of a later version"),)}, "healthy", ""),
        ({"reports": (FINE,)}, "unknown", "Not probed yet."),
        ({"reports": (OPEN,)}, "unhealthy", "Calls to it fail: connection refused"),
        # the worst counts, and of two alike the probe's word
        ({"probe": probed(State.UNHEALTHY, "refused"), "reports": (HALF,)}, "unhealthy", "refused"),
        ({"probe": probed(State.UNHEALTHY, "refused"), "reports": (OPEN,)}, "unhealthy", "refused"),
        ({"probe": probed(State.DEGRADED, "slow"), "reports": (HALF,)}, "degraded", "slow"),
        (
            {"probe": probed(State.UNHEALTHY, "refused"), "reports": (WRONG,)},
            "misconfigured",
            "It refuses the API key.",
        ),
        # discovery
        ({"probe": WELL, "misconfigured": "No models."}, "misconfigured", "No models."),
        ({"misconfigured": "No models."}, "misconfigured", "No models."),
        ({"reports": (OPEN,), "misconfigured": "No models."}, "misconfigured", "No models."),
        # what the operator chose stands before all
        ({"enabled": False, "draining": True, "probe": WELL}, "disabled", "No call goes to it."),
        ({"enabled": False, "reports": (WRONG,)}, "disabled", "No call goes to it."),
        (
            {"draining": True, "probe": probed(State.UNHEALTHY, "refused"), "reports": (WRONG,)},
            "draining",
            "It gets no new call; none is running any more.",
        ),
        (
            {"draining": True, "reports": (Report(in_flight=1),)},
            "draining",
            "It gets no new call; 1 call is still running.",
        ),
        (
            {"draining": True, "reports": (FINE, Report(in_flight=3)), "processes": 2},
            "draining",
            "It gets no new call; 5 calls are still running.",
        ),
    ],
)
def test_the_worst_that_holds_is_how_it_is(facts: Any, standing: str, reason: str) -> None:
    condition = judge(Facts(**facts), NOW)

    assert (condition.standing, condition.reason) == (standing, reason)


@pytest.mark.parametrize("state", list(State))
def test_a_probe_tells_since_when(state: State) -> None:
    condition = judge(Facts(probe=probed(state, "why")), NOW)

    assert condition == Condition(Standing(state.value), "why", LONG_AGO)


@pytest.mark.parametrize("state", list(State))
def test_an_old_probe_says_that_nobody_looks(state: State) -> None:
    facts = Facts(probe=probed(state, "why", seconds_ago=TRUSTED_SECONDS + 1))

    condition = judge(facts, NOW)

    assert condition.standing is Standing.UNKNOWN
    assert condition.since is None
    assert condition.reason == (
        f"No recent probe. The last one, at {NOW - timedelta(seconds=TRUSTED_SECONDS + 1):%Y-%m-%d %H:%M:%S} UTC, found it {state.value}."
    )


def test_a_probe_counts_to_the_last_second() -> None:
    facts = Facts(probe=probed(State.HEALTHY, seconds_ago=TRUSTED_SECONDS))

    assert judge(facts, NOW).standing is Standing.HEALTHY


def test_where_nobody_looks_calls_still_tell() -> None:
    stale = probed(State.HEALTHY, seconds_ago=60)

    assert judge(Facts(probe=stale, reports=(OPEN,)), NOW).standing is Standing.UNHEALTHY
