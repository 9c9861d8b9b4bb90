"""The oldest of whoever holds most makes room."""

from __future__ import annotations

import asyncio

import pytest

from gateway.admission.displacing import Displaced, Displacing
from gateway.admission.outbox import Deliveries, Outbox
from tests import scripted_time


async def held(displacing: Displacing, owner: str, amount: int = 1) -> str:
    try:
        with displacing.holding(owner, amount):
            await asyncio.sleep(1)
    except Displaced:
        return "displaced"
    return "kept"


def outcomes(most: int, *holders: tuple[str, int]) -> list[str]:
    async def all_of_them() -> list[str]:
        displacing = Displacing(most)
        tasks = [asyncio.ensure_future(held(displacing, *each)) for each in holders]
        ended = list(await asyncio.gather(*tasks))
        assert displacing.held == 0
        return ended

    return scripted_time.run(all_of_them())


def test_the_oldest_of_who_holds_most_makes_room():
    holders = [("a", 1), ("b", 1), ("b", 1), ("c", 1)]

    assert outcomes(3, *holders) == ["kept", "displaced", "kept", "kept"]


def test_as_many_make_room_as_it_takes():
    holders = [("a", 1), ("a", 1), ("a", 1), ("b", 2)]

    assert outcomes(3, *holders) == ["displaced", "displaced", "kept", "kept"]


def test_what_is_larger_than_all_room_comes_in_alone():
    assert outcomes(3, ("a", 1), ("a", 9)) == ["displaced", "kept"]


def test_being_cancelled_by_others_is_no_displacement():
    async def cancelled() -> None:
        task = asyncio.ensure_future(held(Displacing(1), "a"))
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        scripted_time.run(cancelled())


def test_an_answer_that_nobody_takes_is_cut_when_others_need_its_memory():
    async def stuck(message: object) -> None:
        await asyncio.Event().wait()

    async def delivered() -> tuple[object, object]:
        deliveries = Deliveries(most_bytes=10)
        tasks = []
        for _ in range(2):
            outbox = Outbox(stuck)
            await outbox.put({"type": "http.response.body", "body": b"123456"})
            tasks.append(asyncio.ensure_future(deliveries.deliver("a", outbox)))
        ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        [other] = others
        other.cancel()
        return tasks[0] in ended, type(tasks[0].exception())

    assert scripted_time.run(delivered()) == (True, ConnectionAbortedError)
