"""A client that waits for the first event of a stream: it hears something before proxies give up.

For `head_seconds` it hears nothing: until then an error has a status. Then the head goes out, and a
comment each time that nothing else did for a while. No event has been sent by that, so another
server may still be asked.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

Pairs = list[tuple[bytes, bytes]]

COMMENT = b": waiting\n\n"
"""Legal in any stream of server-sent events, and heard by nobody (HTML standard, 9.2.6)."""
MOST_COMMENT_BYTES = 16 * 2**10
"""Of a server's comments that are held before the client is told."""
PIECE_BYTES = 64
"""What each piece of them counts beside its length."""


class Listener(Protocol):
    """The client, as far as it is spoken to here."""

    status: int
    sent_bytes: int
    is_held: bool

    async def hold(self, headers: Pairs) -> None: ...

    async def write(self, piece: bytes, *, more: bool) -> None: ...


class Waiting:
    """Begun once the call is known to ask for a stream, or a server answers with one; ended by the
    first event, or with the call."""

    __slots__ = (
        "_comment_bytes", "_comment_seconds", "_comments", "_due", "_head", "_head_seconds", "_is_due", "_listener", "_own_head",
        "_ping_seconds", "_ticker", "_timer",
    )  # fmt: skip

    def __init__(
        self,
        listener: Listener,
        *,
        head_seconds: float,
        ping_seconds: float,
        comment_seconds: float = 1.0,
    ) -> None:
        """With `head_seconds` infinite, nothing is ever told."""
        self._listener, self._comment_seconds = listener, comment_seconds
        self._head_seconds, self._ping_seconds = head_seconds, ping_seconds
        self._own_head: Callable[[], Pairs] | None = None
        self._head: Callable[[], Pairs] | None = None
        self._comments: list[bytes] = []
        self._comment_bytes = 0
        self._due = 0.0
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._ticker: asyncio.Task[None] | None = None

    def begin(self, head: Callable[[], Pairs] | None = None) -> None:
        """`head` gives the head that goes out while no server has answered; None: none goes out then."""
        self._own_head = self._head = head
        if self._timer is None and math.isfinite(self._head_seconds):
            self._due = asyncio.get_running_loop().time() + self._head_seconds
            self._speak_at(self._due)

    @contextmanager
    def for_event(self, head: Pairs) -> Iterator[None]:
        """Within, a server has answered with `head`, and its first event is waited for."""
        if self._timer is None:
            self.begin()
        self._head = lambda: head
        self._speak()
        try:
            yield
        finally:
            self._head = self._own_head
            self._forget_comments()
            if self._timer is not None and not self._is_due:
                self._speak_at(self._due)

    async def pass_on(self, comments: bytes) -> None:
        """Pass on the server's comments before its first event. Where they are empty, being none for
        the client, it still counts that the server said something."""
        if self._listener.is_held:
            if comments:
                await self._listener.write(comments, more=True)
        elif self._timer is not None:
            if comments:
                self._comments.append(comments)
                self._comment_bytes += len(comments) + PIECE_BYTES
            soon = asyncio.get_running_loop().time() + self._comment_seconds
            if self._comment_bytes > MOST_COMMENT_BYTES:
                self._speak_now()
            elif soon < self._timer.when():
                self._speak_at(soon)

    def comments(self) -> list[bytes]:
        """Those that the client has not been told yet, piece for piece as they came."""
        return self._comments.copy()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None

    def _forget_comments(self) -> None:
        self._comments.clear()
        self._comment_bytes = 0

    def _speak_at(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(when, self._speak_now)

    def _speak_now(self) -> None:
        self._is_due = True
        self._speak()

    def _speak(self) -> None:
        if self._is_due and self._head is not None and self._ticker is None:
            self._ticker = asyncio.create_task(self._tell(self._head()))

    async def _tell(self, head: Pairs) -> None:
        listener = self._listener
        await listener.hold(head)
        said = b"".join(self._comments) or COMMENT
        self._forget_comments()
        await listener.write(said, more=True)
        while listener.is_held:
            sent_bytes = listener.sent_bytes
            await asyncio.sleep(self._ping_seconds)
            if listener.is_held and listener.sent_bytes == sent_bytes:
                await listener.write(COMMENT, more=True)
