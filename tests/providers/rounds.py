"""Rounds of the background work that no test has to wait for."""

from __future__ import annotations

from dataclasses import replace

from providers.background import Rounds
from tests.patience import NEVER_SECONDS

ROUNDS = Rounds(
    watch_seconds=0.02,
    ask_seconds=0.02,
    gather_seconds=0.0,
    key_use_seconds=0.02,
    exchange_seconds=0.02,
    idle_exchange_seconds=0.02,
    gap_seconds=0.0,
    look_around_seconds=0.02,
    first_retry_seconds=NEVER_SECONDS,
)
RETRYING = replace(ROUNDS, first_retry_seconds=0.02)
