"""Dialect to dialect: what a client says in its own, as vLLM's chat completions, and back. Pure.

Translation is for servers that lack a route of their own for the client's dialect. History and
hints never end a session: what such a server cannot use is left out, told as text, or taken as a
hint, and the answer says what was done. A 400 that names the member is for what the caller itself
chose, and for what would silently change the answer.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from gateway.abilities import Ability
from gateway.errors import GatewayError

CHAT = "/v1/chat/completions"


class EventStream(Protocol):
    """The stream of one answer on its way to the client: bytes in, cut anywhere, bytes out."""

    ping: bytes
    """What is said while the server is silent, so that nobody on the way gives up; empty: nothing."""

    error: GatewayError | None
    """What ended the stream, told the client in its last event; None while all is well."""

    reads_events: bool
    """Whether it takes each event apart, so that its cost grows with their number."""

    @property
    def held_bytes(self) -> int:
        """What the next piece may have to be read together with, or the last event may repeat."""

    @property
    def is_over(self) -> bool:
        """Nothing more goes to the client, whatever the server still sends."""

    def feed(self, piece: bytes) -> bytes:
        """What goes to the client for `piece`: whole events, or nothing yet.

        Raises UpstreamBroke for what is no stream of the server's dialect.
        """

    def end(self) -> bytes:
        """What is still to be said once the server's stream has ended, well or too early."""

    def broken(self, error: GatewayError) -> bytes:
        """The last bytes of a stream that breaks off with `error`, in the client's dialect."""


class Translation(Protocol):
    """One call in the server's dialect, and the way back for its one answer."""

    path: str
    """Where it goes, below the server root."""
    body: bytes
    uses: frozenset[Ability]
    """What the call could do without. A server that refuses it for one of these is asked again."""

    def whole(self, answer: bytes) -> bytes:
        """The client's JSON for the server's. Raises UpstreamBroke if it is none that is known."""

    def stream(self) -> EventStream:
        """For an answer that comes as a stream; begun anew by each call."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a translation may not make up by itself: the time, and ids nobody else has."""

    created: int
    """Unix seconds."""
    new_id: Callable[[str], str]
    """`new_id("resp")` is "resp_" and 32 hexadecimal digits."""

    @classmethod
    def now(cls) -> Stamp:
        return cls(int(time.time()), lambda prefix: f"{prefix}_{uuid.uuid4().hex}")
