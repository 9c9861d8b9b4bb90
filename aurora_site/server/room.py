"""Room for connections: how many there may be, and which one goes when there are too many."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from typing import Protocol

from aurora_site.shares import Tally, subscriber

YOUNG_SECONDS = 1.0
"""So long a head may take before its connection goes for one that is no better; and so long an
answer may wait for its client before it is taken for one that nobody reads."""
TELL_SECONDS = 60.0

logger = logging.getLogger("aurora.server")
owner_of = lru_cache(maxsize=4096)(subscriber)


class Use(Enum):
    """What a connection is for at the moment."""

    IDLE = "between two requests"
    HEAD = "no whole head of a request has come yet"
    ENDING = "all is said; its client may still send, or read"
    UNREAD = "its client does not read"
    UPLOAD = "a body is on its way"
    WEBSOCKET = "a WebSocket"
    CALL = "a request is there as a whole, and its answer is made or read"


FIRST_TO_GO = (Use.ENDING, Use.HEAD, Use.UNREAD, Use.UPLOAD, Use.WEBSOCKET)
"""Of an address that has more than its share. A call never goes: what is served goes on."""


class Holder(Protocol):
    def make_room(self) -> None:
        """End the connection now."""


class Seat:
    """One connection's part of the room."""

    __slots__ = ("_room", "holder", "owner", "since", "use")

    def __init__(self, room: Room, owner: str, holder: Holder) -> None:
        self._room, self.owner, self.holder = room, owner, holder
        self.use: Use | None = None
        self.since = 0.0

    def turn_to(self, use: Use) -> None:
        """The connection is for this from now on. Nothing happens once it has left."""
        if self.use is not None and self.use is not use:
            self._room.sort(self, use)

    def leave(self) -> None:
        """The connection has ended. Once more does nothing."""
        self._room.remove(self)


Line = dict[Seat, None]
"""Seats, in the order in which they came to their use."""


class Room:
    """`most` connections. A newcomer beyond them takes the place of

    1. the connection that has been idle for longest, whoever's it is;
    2. one of the address that has most, if the newcomer's has at least two fewer: the first of
       FIRST_TO_GO that there is, of answers those that have waited for YOUNG_SECONDS;
    3. the oldest that has said all, or has brought no whole head within YOUNG_SECONDS.

    Otherwise there is no room. Everything here takes the same time, however many there are.
    """

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._most, self._clock = most, clock
        self._tally = Tally()
        self._owned: dict[str, dict[Use, Line]] = {}
        self._everybodys: dict[Use, Line] = {Use.IDLE: {}, Use.ENDING: {}, Use.HEAD: {}}
        self._told_at = -math.inf

    def __len__(self) -> int:
        return self._tally.total

    def enter(self, address: str, holder: Holder) -> Seat:
        """A new connection from `address`, whether `has_room_for` says so or not."""
        seat = Seat(self, owner_of(address), holder)
        self._tally.add(seat.owner)
        self._put(seat, Use.HEAD)
        return seat

    def has_room_for(self, address: str) -> bool:
        """Whether one more may come in from `address`; another connection may be ended for it."""
        if self._tally.total < self._most:
            return True
        seat = self._next_to_go(owner_of(address))
        self._tell(seat)
        if seat is None:
            return False
        seat.leave()
        seat.holder.make_room()
        return True

    def sort(self, seat: Seat, use: Use) -> None:
        self._take(seat)
        self._put(seat, use)

    def remove(self, seat: Seat) -> None:
        if seat.use is not None:
            self._take(seat)
            seat.use = None
            self._tally.remove(seat.owner)
            if not self._tally.count(seat.owner):
                self._owned.pop(seat.owner, None)

    def _put(self, seat: Seat, use: Use) -> None:
        seat.use = use
        if use is Use.CALL:
            return
        self._owned.setdefault(seat.owner, {}).setdefault(use, {})[seat] = None
        seat.since = self._clock()
        if (everybodys := self._everybodys.get(use)) is not None:
            everybodys[seat] = None

    def _take(self, seat: Seat) -> None:
        use = seat.use
        if use is None or use is Use.CALL:
            return
        del self._owned[seat.owner][use][seat]
        if (everybodys := self._everybodys.get(use)) is not None:
            del everybodys[seat]

    def _next_to_go(self, newcomer: str) -> Seat | None:
        if idle := self._everybodys[Use.IDLE]:
            return next(iter(idle))
        greediest = self._tally.greediest()
        has_fewer = self._tally.count(newcomer) + 1 < self._tally.count(greediest)
        if has_fewer and (seat := self._first_of(greediest)):
            return seat
        return self._oldest_that_dawdles()

    def _first_of(self, owner: str) -> Seat | None:
        latest = self._clock() - YOUNG_SECONDS
        owned = self._owned.get(owner, {})
        for use in FIRST_TO_GO:
            seat = next(iter(owned.get(use, ())), None)
            if seat is not None and (use is not Use.UNREAD or seat.since < latest):
                return seat
        return None

    def _oldest_that_dawdles(self) -> Seat | None:
        latest = self._clock() - YOUNG_SECONDS
        for use in (Use.ENDING, Use.HEAD):
            seat = next(iter(self._everybodys[use]), None)
            if seat is not None and seat.since < latest:
                return seat
        return None

    def _tell(self, gone: Seat | None) -> None:
        """At most once in TELL_SECONDS: each connection may be one of very many."""
        now = self._clock()
        if now - self._told_at < TELL_SECONDS:
            return
        self._told_at = now
        greediest = self._tally.greediest()
        fields = {
            "connections": self._most,
            "client": greediest,
            "of_this_client": self._tally.count(greediest),
            "ended": gone.use.value if gone is not None and gone.use is not None else "none",
        }
        logger.warning("There are as many connections as there may be", extra={"fields": fields})
