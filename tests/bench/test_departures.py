"""What is left is known on both sides, and what runs on is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench import mock
from bench.client import Server
from bench.departures import SESSION, STREAM, Kind, departures

pytestmark = pytest.mark.anyio

KINDS = pytest.mark.parametrize("kind", [STREAM, SESSION], ids=lambda kind: kind.name)


@asynccontextmanager
async def mocked() -> AsyncIterator[Server]:
    async with await mock.listen(0, 0.01) as server:
        yield Server("mock", server.sockets[0].getsockname()[1], mock.MODEL)


@KINDS
async def test_it_is_told_how_long_each_outlives_its_client(kind: Kind) -> None:
    async with mocked() as upstream:
        found = await departures(kind, upstream, upstream, 7, at_once=3)

    assert dict(found.bad) == {}
    assert found.p50_ms <= found.worst_ms


@KINDS
async def test_one_that_runs_on_is_told(kind: Kind) -> None:
    """Another server than the one that was left knows nothing of it."""
    async with mocked() as upstream, mocked() as unaware:
        found = await departures(kind, upstream, unaware, 2, at_once=1, most_seconds=0.0)

    assert dict(found.bad) == {f"{kind.name} that ran on": 2}


async def test_an_exchange_that_does_not_come_about_is_counted() -> None:
    nothing = Kind("a nothing", lambda to, number: to.get("/nowhere"), b"data:", 200, 1)
    async with mocked() as upstream:
        found = await departures(nothing, upstream, upstream, 1, at_once=1, most_seconds=0.0)

    assert dict(found.bad) == {"status 404": 1, "a nothing that ran on": 1}
