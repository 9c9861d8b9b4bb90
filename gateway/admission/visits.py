"""Who makes a request of Django's part, as far as it is known before the body is read. No I/O."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from aurora_site.shares import subscriber
from gateway.client import Request


class Visitor(StrEnum):
    STRANGER = "stranger"
    """Shows neither a session nor a key that is good: a login, a static file, a scanner."""
    SESSION = "session"
    """A person who has logged in."""
    KEY = "key"
    """A program, by a caller's key."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request's standing. What `owner` holds counts together."""

    visitor: Visitor
    owner: str
    is_urgent: bool = False
    """Whether it takes access away, which waits for nothing else."""


Identify = Callable[[Request], Awaitable[Visit]]
"""Says who makes a request. Raises GatewayError where it is refused before its body is read."""


def stranger(request: Request) -> Visit:
    return Visit(Visitor.STRANGER, subscriber(request.client))


async def everybody_is_a_stranger(request: Request) -> Visit:
    return stranger(request)
