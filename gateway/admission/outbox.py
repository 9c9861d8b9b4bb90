"""An answer on its way to a client that may read slowly, without holding up whoever made it."""

from __future__ import annotations

from collections import deque

from gateway.admission.displacing import Displaced, Displacing
from gateway.client import Message, Send

MOST_ANSWER_BYTES = 1024 * 1024
"""Kept of one answer. A longer one goes out while it is made, and holds its place until then."""
MOST_DELIVERING_BYTES = 64 * 1024 * 1024
"""Kept of all answers that wait for their clients."""


class Outbox:
    """Takes an application's answer in at once, and sends it when told to."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: deque[Message] = deque()
        self.held_bytes = 0

    async def put(self, message: Message) -> None:
        """What the application sends. Returns at once while the answer is not too long."""
        self._messages.append(message)
        self.held_bytes += len(message.get("body", b""))
        if self.held_bytes > MOST_ANSWER_BYTES:
            await self.deliver()

    async def deliver(self) -> None:
        """Returns once the client has taken enough of it all."""
        while self._messages:
            message = self._messages.popleft()
            self.held_bytes -= len(message.get("body", b""))
            await self._send(message)


class Deliveries:
    """Answers that wait for their clients: bounded, so that a newer one cuts the oldest of the
    owner that has most of them."""

    def __init__(self, most_bytes: int = MOST_DELIVERING_BYTES) -> None:
        self._holding = Displacing(most_bytes)

    async def deliver(self, owner: str, outbox: Outbox) -> None:
        """Raises ConnectionAbortedError when the answer is to be cut."""
        try:
            with self._holding.holding(owner, outbox.held_bytes):
                await outbox.deliver()
        except Displaced:
            message = "the client took its answer too slowly, and others needed the memory"
            raise ConnectionAbortedError(message) from None
