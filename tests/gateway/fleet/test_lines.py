"""Who waits, and whose turn it is."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from gateway.fleet.lines import Line, LineFull, Turns

pytestmark = pytest.mark.anyio
A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)
SERVER, OTHER = UUID(int=8), UUID(int=9)


class Calls:
    """A line, and the names of those that were given a place in it, in order."""

    def __init__(self) -> None:
        self.line: Line[str] = Line()
        self.keys = Turns()
        self.turns: dict[str, asyncio.Future[str]] = {}

    def join(self, name: str, owner: UUID, most: int = 100, *servers: UUID) -> asyncio.Future[str]:
        takes = dict.fromkeys(servers or (SERVER, OTHER), lambda: "place")
        self.turns[name] = turn = self.line.join(owner, most, takes, self.keys.arrive())
        return turn

    def next(self, server: UUID = SERVER) -> str:
        """Who is given the next place; empty if nobody waits for one there."""
        waiting = {name for name, turn in self.turns.items() if not turn.done()}
        owner = self.keys.first(owner for owner, _ in self.line.firsts(server))
        if owner is None:
            return ""
        self.line.give(owner, server)
        self.keys.note(owner)
        (given,) = (name for name in waiting if self.turns[name].done())
        assert self.turns[given].result() == "place"
        return given


@pytest.fixture
def calls() -> Calls:
    return Calls()


async def test_within_a_key_the_first_to_come_is_the_first(calls):
    for name in ("a1", "a2", "a3"):
        calls.join(name, A)
    assert [calls.next() for _ in range(3)] == ["a1", "a2", "a3"]


async def test_keys_take_turns_however_many_calls_they_have(calls):
    for name in ("a1", "a2", "a3", "a4"):
        calls.join(name, A)
    for name in ("b1", "b2"):
        calls.join(name, B)
    calls.join("c1", C)
    assert [calls.next() for _ in range(7)] == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


async def test_whoever_was_served_the_longest_ago_is_next(calls):
    for name, owner in (("a1", A), ("b1", B), ("a2", A)):
        calls.join(name, owner)
    assert [calls.next(), calls.next()] == ["a1", "b1"]
    calls.join("c1", C)
    calls.join("b2", B)
    assert [calls.next() for _ in range(3)] == ["c1", "a2", "b2"]


async def test_a_place_is_taken_only_for_somebody(calls):
    assert calls.next() == ""


async def test_a_full_line_takes_nobody_of_the_same_key(calls):
    for number in range(3):
        calls.join(f"a{number}", A, 3)
    with pytest.raises(LineFull):
        calls.join("a3", A, 3)
    assert len(calls.line) == 3


@pytest.mark.parametrize("most", [0, 1])
async def test_a_line_of_no_length_or_of_one_never_displaces(calls, most):
    for number in range(most):
        calls.join(f"a{number}", A, most)
    with pytest.raises(LineFull):
        calls.join("b", B, most)
    assert len(calls.line) == most


@pytest.mark.parametrize("most", [0, 2])
async def test_who_may_not_wait_displaces_nobody(calls, most):
    """Aliases of the same servers share a line, and one may let fewer wait than another."""
    for number in range(9):
        calls.join(f"a{number}", A)
    for number in range(most):
        calls.join(f"b{number}", B, most)
    with pytest.raises(LineFull):
        calls.join("b", B, most)
    assert len(calls.line) == 9


async def test_a_flood_makes_room_for_another_key_by_its_newest_call(calls):
    for number in range(4):
        calls.join(f"a{number}", A, 4)

    calls.join("b0", B, 4)

    assert len(calls.line) == 4
    with pytest.raises(LineFull):
        calls.turns["a3"].result()
    assert [calls.next() for _ in range(4)] == ["a0", "b0", "a1", "a2"]


async def test_room_is_made_until_the_keys_have_as_many(calls):
    for number in range(5):
        calls.join(f"a{number}", A, 5)
    calls.join("b0", B, 5)
    calls.join("b1", B, 5)
    with pytest.raises(LineFull):
        calls.join("b2", B, 5)
    for name in ("a3", "a4"):
        assert isinstance(calls.turns[name].exception(), LineFull)
    assert len(calls.line) == 5


@pytest.mark.parametrize("order", ["a0 a1 b0 b1", "b0 b1 a0 a1", "a0 b0 b1 a1", "b0 a0 a1 b1"])
async def test_of_keys_that_have_as_many_the_call_that_came_last_makes_room(calls, order):
    for name in order.split():
        calls.join(name, {"a": A, "b": B}[name[0]], 4)
    calls.join("c0", C, 4)
    displaced = [name for name, turn in calls.turns.items() if turn.done()]
    assert displaced == [order.split()[-1]]
    assert isinstance(calls.turns[displaced[0]].exception(), LineFull)


async def test_whoever_leaves_is_passed_over(calls):
    for name, owner in (("a1", A), ("a2", A), ("b1", B)):
        calls.join(name, owner)
    calls.line.leave(A, calls.turns["a1"])
    calls.line.leave(B, calls.turns["b1"])
    calls.line.leave(B, calls.turns["b1"])
    assert len(calls.line) == 1
    assert calls.next() == "a2"
    assert not calls.turns["a1"].done()


async def test_a_call_that_was_cancelled_gets_no_place(calls):
    calls.join("a1", A).cancel()
    calls.join("b1", B)
    assert calls.next() == "b1"
    assert len(calls.line) == 0
    assert calls.line._waiting == {}


async def test_where_all_were_cancelled_nothing_is_taken(calls):
    calls.join("a1", A).cancel()
    assert calls.next() == ""
    assert len(calls.line) == 0


async def test_a_place_at_a_server_that_a_call_has_tried_goes_to_the_next(calls):
    calls.join("been there", A, 100, OTHER)
    calls.join("behind it", A)
    calls.join("of another", B)

    assert [calls.next(), calls.next()] == ["behind it", "of another"]
    assert calls.next() == ""
    assert calls.next(OTHER) == "been there"
    assert len(calls.line) == 0


async def test_a_call_that_was_cancelled_ahead_of_others_is_forgotten(calls):
    calls.join("gone", A).cancel()
    calls.join("a", A)

    assert calls.next() == "a"
    assert len(calls.line) == 0
