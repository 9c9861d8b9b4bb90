"""What this process sees of one server: its calls there, its load, and whether it takes more."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from itertools import islice

from gateway.fleet.breaker import Breaker, Breaking
from providers.observed import SHUNNED, Observation, Report
from providers.snapshot import ProviderEntry

HALVED_SECONDS = 5.0
"""What a server said of its load counts half after so long: calls come and go."""
RECENT_SECONDS = 60.0
"""A call that was sent so long ago counts for 1/e of one sent now."""
MOST_PAUSE_SECONDS = 60.0
"""Of what a server may ask for by Retry-After."""
MOST_CHANGES = 64
"""So many are gone through one by one; after more of them each server is looked at."""


def kept_after(seconds: float) -> float:
    """What a call that was sent so long ago counts for."""
    return math.exp(-seconds / RECENT_SECONDS)


class Changes:
    """Of all servers: how often the load of one has changed, and how often one has shut or
    opened."""

    def __init__(self) -> None:
        self.loads = self.turns = 0
        self._loaded: deque[Sight] = deque(maxlen=MOST_CHANGES)

    def note_load(self, sight: Sight) -> None:
        self.loads += 1
        self._loaded.append(sight)

    def note_turn(self) -> None:
        self.turns += 1

    def loaded_since(self, loads: int) -> Iterable[Sight] | None:
        """Those whose load has changed since there were so many changes, some maybe more than once;
        None if too many have to be known."""
        missed = self.loads - loads
        return islice(reversed(self._loaded), missed) if missed <= MOST_CHANGES else None


class Sight:
    """`calls` is its load: those of this process now, and those of others when it was last asked.

    `is_shut` is False while it surely takes a call; else `admits` and `allows` say more.
    """

    __slots__ = (
        "_changes", "_in_flight_then", "_paused_until", "_recovered", "breaker", "calls", "entry",
        "in_flight", "is_gone", "is_new", "is_shut", "observation", "others", "recent", "share",
    )  # fmt: skip

    def __init__(self, entry: ProviderEntry, changes: Changes) -> None:
        self.entry, self._changes = entry, changes
        self.breaker = Breaker()
        self.observation = Observation()
        self.in_flight = 0
        self.others = self.calls = 0.0
        self.recent = 0.0
        """Calls that this process has sent there of late."""
        self.is_new = True
        """Nothing was counted as recent yet."""
        self.share: int | None = None
        """Of its `max_concurrency`, what this process may use; None: no limit."""
        self.is_shut = self.is_gone = False
        self._paused_until = 0.0
        self._in_flight_then = 0
        """Calls of this process when it was last seen."""
        self._recovered: int | None = None
        """How often probes had found it well again when it was last seen; None: not seen yet."""

    # What changes.

    def know(self, entry: ProviderEntry, processes: int) -> None:
        """The row as it is now. One that is reached otherwise than before begins anew, and so does
        one that did not know its model and lists others now."""
        held = self.entry
        if (held.address, held.authorization) != (entry.address, entry.authorization):
            self.breaker = Breaker()
            self._paused_until = 0.0
        elif self._is_misconfigured and held.models.keys() != entry.models.keys():
            self.breaker = Breaker()
        self.entry, self.is_gone = entry, False
        most = entry.max_concurrency
        self.share = None if most is None else -(-most // max(1, processes))
        self.look()

    def leave(self) -> None:
        """Its row is no longer there: it gets no more calls."""
        self.is_gone = True
        self.look()

    def observe(self, observation: Observation, now: float) -> None:
        """What was last seen of it. Of the calls it counted then, those that this process had there
        are not counted twice."""
        if observation != self.observation:
            self._in_flight_then = self.in_flight
        said = max(0, observation.running + observation.waiting - self._in_flight_then)
        self.others = said * 0.5 ** (max(0.0, now - observation.looked) / HALVED_SECONDS)
        self.observation = observation
        if now >= self._paused_until:
            self._paused_until = 0.0
        if self._has_recovered(observation):
            self.breaker.recover()
        self._recovered = observation.recovered
        self.look()

    def begin(self, now: float) -> int:
        """A call is sent. The number by which its breaker knows it."""
        sent = self.breaker.enter(now)
        self.recent += 1.0
        self.begin_beside()
        return sent

    def begin_beside(self) -> None:
        """A call is sent that is none of its work: it is there while it lasts, and no more."""
        self.in_flight += 1
        self.look()

    def end(self) -> None:
        self.in_flight -= 1
        self.look()

    def pause(self, now: float, seconds: float) -> None:
        """It asked to be left alone for so long."""
        self._paused_until = now + min(seconds, MOST_PAUSE_SECONDS)
        self.look()

    def look(self) -> None:
        """Work out `calls` and `is_shut` anew: after each change, also of the breaker."""
        calls, was_shut = self.in_flight + self.others, self.is_shut
        if calls != self.calls:
            self.calls = calls
            self._changes.note_load(self)
        self.is_shut = (
            self.breaker.state is not Breaking.CLOSED
            or self.is_gone
            or self.entry.draining
            or bool(self.entry.problem)
            or self.observation.state in SHUNNED
            or self._paused_until > 0.0
        )
        if self.is_shut is not was_shut:
            self._changes.note_turn()

    # What is asked.

    @property
    def _is_misconfigured(self) -> bool:
        return self.breaker.state is Breaking.MISCONFIGURED

    def admits(self, now: float) -> bool:
        """Whether it may be chosen."""
        return not self.is_shut or (
            self.allows(now)
            and self.breaker.admits(now)
            and self.observation.state not in SHUNNED
            and now >= self._paused_until
        )

    def allows(self, now: float) -> bool:
        """Whether it may be chosen where nobody else is left: also if probes find it unwell, or
        calls found its key or model refused, which it answers at no cost."""
        return self.is_in_service and (self._is_misconfigured or self.breaker.admits(now))

    @property
    def is_in_service(self) -> bool:
        """Whether its row is there, and lets calls go to it."""
        return not (self.is_gone or self.entry.draining or self.entry.problem)

    @property
    def has_room(self) -> bool:
        return self.share is None or self.in_flight < self.share

    def why_shut(self, now: float) -> str:
        """In words for whoever reads an error."""
        if self.is_gone:
            return f"{self.entry.name!r} has been removed"
        if self.entry.problem:
            return f"{self.entry.name!r} cannot be called: {self.entry.problem}"
        if self.entry.draining:
            return f"{self.entry.name!r} is draining"
        if now < self._paused_until:
            seconds = math.ceil(self._paused_until - now)
            return f"{self.entry.name!r}: it asks to be left alone for {seconds} s"
        reason = self.breaker.reason or self.observation.reason or "it is failing"
        return f"{self.entry.name!r}: {reason}"

    def report(self, waiting: int, newest: Observation) -> Report:
        """What there is to say of it. `newest` may be newer than what it was last given to
        `observe`, which nobody does while no call comes."""
        if self._has_recovered(newest):
            return Report(self.in_flight, waiting)
        return Report(self.in_flight, waiting, self.breaker.state.value, self.breaker.reason)

    def _has_recovered(self, observation: Observation) -> bool:
        return self._recovered is not None and observation.recovered > self._recovered
