"""How one answer is handed on, and who looks on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.abilities import NO_ABILITIES, Ability
from gateway.dialects import Dialect
from gateway.errors import UpstreamError
from gateway.header_names import NO_RULES, Rules
from gateway.offload import Offload
from gateway.resuming import Sentence
from gateway.translation import Translation

Pairs = list[tuple[bytes, bytes]]


class Watcher(Protocol):
    """Sees what goes to the client, just before it goes. It must never fail. Where `held_bytes` are
    many, `feed` and `end` run on a thread; `settle`, which must be quick, never does."""

    @property
    def held_bytes(self) -> int: ...

    @property
    def holds(self) -> bool:
        """Whether what was fed last, or the end, must not go out before `release` has returned."""

    def begin(self, *, streamed: bool) -> None: ...

    def feed(self, piece: bytes) -> None: ...

    def end(self) -> None:
        """The answer is whole: what was fed last may still have to go out, nothing follows it."""

    async def release(self, piece: bytes) -> bytes:
        """What was fed last, once it may go out, which is soon; it may say of Aurora what it must."""

    def settle(self) -> None:
        """Act on what was seen: called on the loop, after each `feed` and `end`."""


class Unwatched:
    """Nobody looks."""

    holds = False
    held_bytes = 0

    def begin(self, *, streamed: bool) -> None:
        pass

    def feed(self, piece: bytes) -> None:
        pass

    def end(self) -> None:
        pass

    async def release(self, piece: bytes) -> bytes:
        return piece

    def settle(self) -> None:
        pass


UNWATCHED = Unwatched()


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one answer is handed on: in which dialect, with what changed, and who looks on."""

    model: str
    path: str
    """The server's route, for what is said of its errors."""
    offload: Offload
    dialect: Dialect = Dialect.OPENAI
    translation: Translation | None = None
    """None: the answer goes out as it comes."""
    uses: frozenset[Ability] = NO_ABILITIES
    """What the call could do without, if the server lacks it."""
    sentence: Sentence | None = None
    """A stream that another server may finish; it holds what the client was told so far."""
    said_model: str = ""
    """What the answer is to say as its `model`; empty: what the server says."""
    watcher: Watcher = UNWATCHED
    added: Sequence[tuple[bytes, bytes]] = ()
    """What Aurora says of the call in headers of its own."""
    header_rules: Rules = NO_RULES
    begun: Callable[[], None] = lambda: None
    """Called once the answer is sound and its first piece is in: no other server will be asked."""


class Interrupted(Exception):
    """The stream of a sentence broke off, or its server is stopping. The client waits for the rest:
    another server is asked for it if it `can_go_on`, or the stream is ended with `error`.
    `is_stopping` says that the server itself told so: the call has not brought it down."""

    def __init__(self, error: UpstreamError, *, can_go_on: bool, is_stopping: bool) -> None:
        super().__init__(str(error))
        self.error, self.can_go_on, self.is_stopping = error, can_go_on, is_stopping


def without_length(crossing: Pairs) -> Pairs:
    return [pair for pair in crossing if pair[0] != b"content-length"]
