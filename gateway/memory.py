"""What calls hold in memory: one account for each of Aurora's processes, in bytes.

Whoever would hold more than there is left is refused at once: nobody waits for memory, so nobody who
holds some waits for others who do. Up to FREE_BYTES each holds for nothing: small calls are not
counted, and the number of connections bounds them.
"""

from __future__ import annotations

import asyncio

from gateway.errors import BodyTooLarge, MemoryFull

FREE_BYTES = 64 * 2**10
BODY_COPIES = 3
"""What a body takes, measured, while its call is relayed: it came in pieces, is one text, and goes out
as another."""
TRANSLATED_COPIES = 7
"""What it takes where the call is read in all its detail, and written in another dialect."""


class Memory:
    """Belongs to one event loop."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.used_bytes = 0
        self._waiting: set[asyncio.Task[None]] = set()

    def check(self, size_bytes: int) -> None:
        """Raises as `move` would for somebody who holds nothing yet."""
        self.move(0, size_bytes)
        self.used_bytes -= size_bytes

    def move(self, before: int, after: int) -> None:
        """What held `before` bytes holds `after`. Raises BodyTooLarge where that could never be, and
        MemoryFull where it cannot be now."""
        if after > before:
            if after > self.most_bytes:
                raise BodyTooLarge(
                    f"This takes more memory than the {self.most_bytes} bytes that Aurora gives to "
                    "all calls of a process."
                )
            if self.used_bytes + after - before > self.most_bytes:
                raise MemoryFull("Aurora holds as much for other calls as it may. Try again soon.")
        self.used_bytes += after - before

    def moved(self, before: int, after: int) -> bool:
        """As `move`; whether it could be."""
        try:
            self.move(before, after)
        except (BodyTooLarge, MemoryFull):
            return False
        return True

    def has_room(self, size_bytes: int) -> bool:
        return size_bytes <= FREE_BYTES or self.used_bytes + size_bytes <= self.most_bytes

    def hold_until(self, gone: asyncio.Event, size_bytes: int) -> None:
        """Count what is held until it is `gone`, for which there is room. Up to FREE_BYTES nothing is
        counted."""
        if size_bytes <= FREE_BYTES:
            return
        self.move(0, size_bytes)
        task = asyncio.create_task(self._give_back(gone, size_bytes))
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _give_back(self, gone: asyncio.Event, size_bytes: int) -> None:
        try:
            await gone.wait()
        finally:
            self.move(size_bytes, 0)


class Charge:
    """What one call holds. Give it back with `free`, however the call ends."""

    __slots__ = ("_answer_bytes", "_body_bytes", "_memory")

    def __init__(self, memory: Memory | None) -> None:
        """Without a `memory` nothing is counted."""
        self._memory = memory
        self._body_bytes = self._answer_bytes = 0

    def hold_body(self, size_bytes: int, copies: int = BODY_COPIES) -> None:
        """A body of this size, whatever was held of it before. Raises as `Memory.move`."""
        counted = size_bytes * copies if size_bytes > FREE_BYTES else 0
        if counted != self._body_bytes and self._memory is not None:
            self._memory.move(self._body_bytes, counted)
            self._body_bytes = counted

    def check_body(self, size_bytes: int) -> None:
        """Whether a body of this size can be held now. What is only announced is not counted: whoever
        sends it slowly would hold it all the while."""
        if size_bytes > FREE_BYTES and self._memory is not None:
            self._memory.check(size_bytes * BODY_COPIES)

    def hold_answer(self, size_bytes: int) -> None:
        """As much of an answer, whatever was held of it before. Raises as `Memory.move`."""
        counted = size_bytes if size_bytes > FREE_BYTES else 0
        if counted != self._answer_bytes and self._memory is not None:
            self._memory.move(self._answer_bytes, counted)
            self._answer_bytes = counted

    def free_body(self) -> None:
        self.hold_body(0)

    def free(self) -> None:
        self.hold_body(0)
        self.hold_answer(0)
