"""What the documentation promises in seconds follows from how often things are done.

Nothing is measured here: `make bench` does that (`bench/live.py`).
"""

from __future__ import annotations

import pytest

from providers.background import USUAL_ROUNDS
from providers.probing.lease import LEASE_SECONDS

WORK_SECONDS = 0.5
"""For what is done in a round: questions to the database, and writing what was found."""


@pytest.mark.parametrize(
    ("promised_seconds", "rounds_seconds"),
    [
        pytest.param(2, 2 * USUAL_ROUNDS.watch_seconds, id="a change is live"),
        pytest.param(
            3,
            USUAL_ROUNDS.gap_seconds * 2 + USUAL_ROUNDS.idle_exchange_seconds,
            id="what was seen of a server is known in every process",
        ),
        pytest.param(
            10,
            LEASE_SECONDS + USUAL_ROUNDS.idle_exchange_seconds + USUAL_ROUNDS.look_around_seconds,
            id="another process probes",
        ),
    ],
)
def test_rounds_are_short_enough_for_what_is_promised(
    promised_seconds: float, rounds_seconds: float
) -> None:
    assert rounds_seconds + WORK_SECONDS <= promised_seconds


def test_a_key_comes_and_ends_within_half_a_second() -> None:
    """Its rows alone are read then, where changes do not make themselves heard."""
    assert 2 * USUAL_ROUNDS.watch_seconds <= 0.5
