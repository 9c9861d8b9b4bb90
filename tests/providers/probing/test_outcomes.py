"""Look for look, what is known of a server."""

from __future__ import annotations

import pytest

from providers.observed import State
from providers.probing.metrics import NO_LOAD, Load
from providers.probing.outcomes import UNKNOWN, Look, Silence, Track, after

WELL = Look(200, 0.01)
LATE = Look(Silence.LATE, text="No answer within 5 s.")
GONE = Look(Silence.UNREACHABLE, text="Cannot be reached: refused.")


def follow(*looks: Look) -> Track:
    track = UNKNOWN
    for look in looks:
        track = after(track, look)
    return track


@pytest.mark.parametrize(
    ("look", "state", "reason"),
    [
        (WELL, State.HEALTHY, ""),
        (Look(200, 2.0), State.HEALTHY, ""),
        (Look(200, 2.1), State.DEGRADED, "It took 2.1 s to answer /health."),
        (Look(404), State.HEALTHY, "It answers /health with HTTP 404."),
        (Look(401), State.MISCONFIGURED, "It refuses the API key on /health (HTTP 401)."),
        (Look(403), State.MISCONFIGURED, "It refuses the API key on /health (HTTP 403)."),
        (Look(0), State.UNHEALTHY, "It answers /health with HTTP 0."),
        (Look(302), State.UNHEALTHY, "It answers /health with HTTP 302."),
        (Look(429), State.UNHEALTHY, "It answers /health with HTTP 429."),
        (Look(500), State.UNHEALTHY, "It answers /health with HTTP 500."),
        (Look(503), State.UNHEALTHY, "It answers /health with HTTP 503."),
        (GONE, State.UNHEALTHY, "Cannot be reached: refused."),
        (LATE, State.DEGRADED, "No answer within 5 s."),
        (Look(Silence.UNASKED, text="Enter the key again."), State.MISCONFIGURED, "Enter the key again."),
    ],
)  # fmt: skip
def test_one_look_says(look, state, reason):
    track = after(UNKNOWN, look)
    assert (track.state, track.reason) == (state, reason)


def test_a_server_that_is_late_twice_in_a_row_is_unhealthy():
    assert follow(WELL, LATE, LATE).state is State.UNHEALTHY
    assert follow(WELL, LATE, WELL, LATE).state is State.DEGRADED


def test_a_server_that_was_gone_is_not_better_for_being_late():
    assert follow(GONE, LATE).state is State.UNHEALTHY


def test_the_load_is_that_of_the_last_look():
    loaded = Look(200, load=Load(3, 1))
    assert follow(loaded).load == Load(3, 1)
    assert follow(loaded, GONE).load == NO_LOAD


@pytest.mark.parametrize(
    ("looks", "recovered"),
    [
        ((WELL, WELL), 0),
        ((WELL, LATE, WELL), 0),
        ((GONE, GONE), 0),
        ((GONE, WELL), 1),
        ((GONE, Look(200, 3.0)), 1),
        ((Look(401), WELL), 1),
        ((GONE, Look(401), WELL), 1),
        ((GONE, WELL, GONE, WELL), 2),
    ],
)
def test_recoveries_are_counted(looks, recovered):
    assert follow(*looks).recovered == recovered
