"""Rules for turns that chat templates and servers trip over, the same for every dialect. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Part = TypeVar("Part")
Message = TypeVar("Message")

LATER_SYSTEM_ROLE = "user"
"""A system or developer message behind the first turn stays in its place, as a user's text.

Moved to the head, it would change the prompt before all turns, and with it spoil the server's
prefix cache. As `system` amid the turns, many chat templates refuse it.
"""


def images_behind(
    results: Sequence[tuple[str, Sequence[Part]]], text: Callable[[str], Part]
) -> list[Part]:
    """The content of the user's message behind tool results: their images.

    Few chat templates show an image in a tool's message, all show one in a user's. `results` has
    the call id and the images of every result in a row. Where it has several, `text` makes the
    part that names the call before its images.
    """
    shown: list[Part] = []
    for call_id, images in results:
        if images and len(results) > 1:
            shown.append(text(f"From the result of {call_id}:"))
        shown += images
    return shown


class OpenCalls(Generic[Message]):
    """The calls that have no result yet, and the messages that wait for these results.

    Many chat templates want the results right behind the assistant's calls. A user's message
    between them therefore goes behind them.
    """

    def __init__(self) -> None:
        self._ids: set[str] = set()
        self._waiting: list[Message] = []

    @property
    def are_answered(self) -> bool:
        return not self._ids

    def call(self, call_id: str) -> None:
        self._ids.add(call_id)

    def answer(self, call_id: str) -> None:
        self._ids.discard(call_id)

    def wait(self, message: Message) -> None:
        self._waiting.append(message)

    def release(self) -> list[Message]:
        """The messages that waited. No call is open any more: what follows is another turn."""
        waited, self._waiting = self._waiting, []
        self._ids.clear()
        return waited
