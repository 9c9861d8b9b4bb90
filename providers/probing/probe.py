"""One look at one server: whether it is well, and what it is at. It generates nothing."""

from __future__ import annotations

import time

from providers.fetch import Fetch, FetchFailed, Fetching, NoAnswerInTime
from providers.probing.metrics import NO_LOAD, Load, load
from providers.probing.outcomes import Look, Silence
from providers.snapshot import ProviderEntry

HEALTH_SECONDS = 5.0
METRICS_SECONDS = 3.0
MOST_HEALTH_BYTES = 64 * 2**10
MOST_METRICS_BYTES = 4 * 2**20


async def look_at(provider: ProviderEntry, fetching: Fetching) -> Look:
    """GET /health, with the provider's key; where that answers 200, GET /metrics too.

    Within HEALTH_SECONDS + METRICS_SECONDS. Its failures are what it finds, not exceptions.
    """
    if provider.problem:
        return Look(Silence.UNASKED, text=provider.problem)
    async with fetching.together() as fetch:
        return await _looked(provider, fetch)


async def _looked(provider: ProviderEntry, fetch: Fetch) -> Look:
    began = time.monotonic()
    try:
        answer = await fetch(
            f"{provider.address.server_root}/health",
            provider.authorization,
            seconds=HEALTH_SECONDS,
            most_bytes=MOST_HEALTH_BYTES,
        )
    except NoAnswerInTime as error:
        return Look(Silence.LATE, text=str(error))
    except FetchFailed as error:
        return Look(Silence.UNREACHABLE, text=str(error))
    seconds = time.monotonic() - began
    found = await _load(provider, fetch) if answer.status == 200 else NO_LOAD
    return Look(answer.status, seconds, load=found)


async def _load(provider: ProviderEntry, fetch: Fetch) -> Load:
    """A server that does not tell its load may still be well."""
    try:
        answer = await fetch(
            f"{provider.address.server_root}/metrics",
            provider.authorization,
            seconds=METRICS_SECONDS,
            most_bytes=MOST_METRICS_BYTES,
        )
    except FetchFailed:
        return NO_LOAD
    return load(answer.body) if answer.status == 200 else NO_LOAD
