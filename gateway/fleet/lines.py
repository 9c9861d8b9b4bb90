"""Calls that wait for a place at some servers: first come first served within a key. Whose turn it
is among the keys, `Turns` says for all lines together. It belongs to one event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

Place = TypeVar("Place")


class LineFull(Exception):
    """There is no room left to wait in."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter(Generic[Place]):
    turn: asyncio.Future[Place]
    takes: Mapping[UUID, Callable[[], Place]]
    """How a place is taken at each of the servers that it waits for."""
    number: int
    """Grows with each that joins any line."""


class Line(Generic[Place]):
    """Holds `most` waiting calls at most. Where it is full, a call of a key that has fewer in it
    than another takes the place of that key's newest: a flood waits at its own cost."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, deque[_Waiter[Place]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def join(
        self, owner: UUID, most: int, takes: Mapping[UUID, Callable[[], Place]], number: int
    ) -> asyncio.Future[Place]:
        """What is awaited: the place that was given, at one of the servers of `takes`. Raises
        LineFull, now or, by the future, when another key's call takes this one's place."""
        if self._length(owner)[0] >= most:
            raise LineFull
        if self._count >= most:
            self._make_room(owner)
        turn: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(_Waiter(turn, takes, number))
        self._count += 1
        return turn

    def _make_room(self, owner: UUID) -> None:
        """Of keys that have as many, the one whose newest call came last has waited the least."""
        longest = max(self._waiting, key=self._length, default=owner)
        if self._length(longest)[0] <= self._length(owner)[0] + 1:
            raise LineFull
        waiter = self._waiting[longest][-1]
        self._remove(longest, waiter)
        waiter.turn.set_exception(LineFull())

    def _length(self, owner: UUID) -> tuple[int, int]:
        waiters = self._waiting.get(owner)
        return (len(waiters), waiters[-1].number) if waiters else (0, 0)

    def leave(self, owner: UUID, turn: asyncio.Future[Place]) -> None:
        """Wait no more. Nothing if it has been given its place."""
        for waiter in self._waiting.get(owner, ()):
            if waiter.turn is turn:
                self._remove(owner, waiter)
                return

    def firsts(self, server: UUID) -> Iterator[tuple[UUID, int]]:
        """Those who have a call here that waits for a place at `server`, and its number."""
        for owner in list(self._waiting):
            waiter = self._first(owner, server)
            if waiter is not None:
                yield owner, waiter.number

    def give(self, owner: UUID, server: UUID) -> None:
        """A place at `server` to this owner's first call that waits for one there."""
        waiter = self._first(owner, server)
        if waiter is not None:
            self._remove(owner, waiter)
            waiter.turn.set_result(waiter.takes[server]())

    def _first(self, owner: UUID, server: UUID) -> _Waiter[Place] | None:
        for waiter in list(self._waiting.get(owner, ())):
            if waiter.turn.done():  # its call has just been cancelled
                self._remove(owner, waiter)
            elif server in waiter.takes:
                return waiter
        return None

    def _remove(self, owner: UUID, waiter: _Waiter[Place]) -> None:
        waiters = self._waiting[owner]
        waiters.remove(waiter)
        self._count -= 1
        if not waiters:
            del self._waiting[owner]


class Turns:
    """Who was given a place when, so that keys take turns however many lines they stand in."""

    def __init__(self) -> None:
        self._number = self._arrived = 0
        self._served: dict[UUID, int] = {}

    def first(self, owners: Iterable[UUID]) -> UUID | None:
        """Of these, the one who was given a place the longest ago; None if there is none."""
        return min(owners, key=lambda owner: self._served.get(owner, 0), default=None)

    def arrive(self) -> int:
        """The number of a call that joins a line."""
        self._arrived += 1
        return self._arrived

    def note(self, owner: UUID) -> None:
        self._number += 1
        self._served[owner] = self._number

    def forget(self) -> None:
        """Nobody waits any more."""
        self._served.clear()
