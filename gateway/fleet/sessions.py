"""How many calls of late each session has sent to which servers. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway.fleet.sight import Sight, kept_after

MOST_SESSIONS = 4096
"""Where there are more, hardly one has so many of the calls that it matters."""
MOST_SERVERS = 4
"""Of one session: those that it was at last."""


@dataclass(slots=True)
class _Calls:
    number: float
    at: float

    def by(self, now: float) -> float:
        """As `Sight.recent` counts."""
        return self.number * kept_after(now - self.at)


@dataclass(slots=True)
class _Session:
    key: int
    calls: dict[Sight, _Calls] = field(default_factory=dict)
    """The server that it was at last comes last."""


class Sessions:
    """Has a slot for all sessions whose keys are alike in it, and knows the last of them to come."""

    def __init__(self) -> None:
        self._slots: list[_Session | None] = [None] * MOST_SESSIONS

    def note(self, key: int, sight: Sight, now: float) -> None:
        """The session sends a call there."""
        session = self._slots[key % MOST_SESSIONS]
        if session is None or session.key != key:
            session = self._slots[key % MOST_SESSIONS] = _Session(key)
        held = session.calls.pop(sight, None)
        session.calls[sight] = _Calls(held.by(now) + 1.0 if held else 1.0, now)
        if len(session.calls) > MOST_SERVERS:
            del session.calls[next(iter(session.calls))]

    def own(self, key: int, now: float) -> Iterator[tuple[Sight, float]]:
        """The servers that it was at, and how many of their calls of late are its own."""
        session = self._slots[key % MOST_SESSIONS]
        if session is not None and session.key == key:
            for sight, calls in session.calls.items():
                yield sight, calls.by(now)
