"""What a server says before its first event, kept for a client that has heard nothing yet."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from gateway.relay import pinging
from gateway.waiting import Waiting
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.anyio
COMMENTS = 200


class Listening:
    status = sent_bytes = 0
    is_held = False

    async def hold(self, headers):
        raise AssertionError(headers)

    async def write(self, piece, *, more):
        raise AssertionError(piece)


class Comment(bytes):
    """Bytes that count how often they are measured."""

    measured = 0

    def __len__(self):
        Comment.measured += 1
        return super().__len__()


async def test_a_server_that_says_ever_so_many_comments_has_each_looked_at_once():
    waiting = Waiting(Listening(), head_seconds=1000, ping_seconds=1000)

    with waiting.for_event([]):
        for _ in range(COMMENTS):
            await waiting.pass_on(Comment(b":\n"))
        told = b"".join(waiting.comments())
    waiting.end()

    assert told == b":\n" * COMMENTS
    assert Comment.measured <= 2 * COMMENTS


class Hearing:
    """A client that hears of `moments` looks at it, each a moment in which a stream has spoken, or
    none has."""

    status, is_held = 200, True

    def __init__(self, *, speaks: bool) -> None:
        self._speaks, self._sent_bytes, self.looks = speaks, 0, 0
        self.ping_seconds = 0.001
        self.heard: list[bytes] = []

    @property
    def sent_bytes(self) -> int:
        self.looks += 1
        self._sent_bytes += self._speaks
        return self._sent_bytes

    async def hold(self, headers):
        del headers

    async def write(self, piece, *, more):
        assert more
        self.heard.append(piece)

    async def has_been_looked_at(self, times: int = 20) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.looks < times:  # noqa: ASYNC110 - what is awaited is a look, no event
                await asyncio.sleep(0)


@pytest.mark.parametrize("speaks", [True, False])
async def test_a_ping_goes_into_no_stream_that_speaks(speaks):
    client = Hearing(speaks=speaks)
    async with pinging(cast(Any, client), b": ping\n\n"):
        await client.has_been_looked_at()

    assert set(client.heard) == (set() if speaks else {b": ping\n\n"})


@pytest.mark.parametrize("speaks", [True, False])
async def test_a_client_that_waits_and_hears_comments_is_told_no_more(speaks):
    """One comment goes out with the head."""
    client = Hearing(speaks=speaks)
    waiting = Waiting(cast(Any, client), head_seconds=0.0, ping_seconds=0.001)
    waiting.begin(list)
    await client.has_been_looked_at()
    waiting.end()

    assert (len(client.heard) == 1) is speaks
