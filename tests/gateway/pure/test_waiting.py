"""What a server says before its first event, kept for a client that has heard nothing yet."""

from __future__ import annotations

import pytest

from gateway.waiting import Waiting

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
