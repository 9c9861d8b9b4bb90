"""Places and the line before them, by a scripted clock."""

from __future__ import annotations

import asyncio

from gateway.admission.places import Places
from gateway.errors import NotReady
from tests import scripted_time

FOR_A_SECOND = 1.0


async def visit(places: Places, owner: str, seconds: float = FOR_A_SECOND) -> float | str:
    """When it had its place, or what it was told."""
    try:
        async with places.place(owner):
            began = asyncio.get_running_loop().time()
            await asyncio.sleep(seconds)
            return began
    except NotReady as error:
        return str(error)


def outcomes(places: Places, *owners: str) -> list[float | str]:
    async def all_at_once() -> list[float | str]:
        tasks = [asyncio.ensure_future(visit(places, owner)) for owner in owners]
        return list(await asyncio.gather(*tasks))

    return scripted_time.run(all_at_once())


def test_places_are_given_in_the_order_in_which_they_were_asked_for():
    assert outcomes(Places(2), *"abcdef") == [0, 0, 1, 1, 2, 2]


def test_who_waits_too_long_is_refused_and_the_line_goes_on():
    places = Places(1, most_waiting_seconds=1.5)

    assert outcomes(places, *"abc") == [0, 1, "No place here has become free in time."]
    assert outcomes(places, "d") == [0]


def test_a_newcomer_is_refused_who_has_as_many_in_a_full_line_as_anybody():
    assert outcomes(Places(1, most_waiting=2), *"aaaa")[3] == "Too many requests are waiting here."


def test_in_a_full_line_the_newest_of_who_has_most_makes_room():
    places = Places(1, most_waiting=3)

    assert outcomes(places, *"aaaab") == [0, 1, 2, "Too many requests are waiting here.", 3]


def test_one_that_gives_up_waiting_leaves_the_place_to_the_next():
    async def leaving() -> list[float | str]:
        places = Places(1)
        tasks = [asyncio.ensure_future(visit(places, owner)) for owner in "abc"]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        return [await tasks[0], await tasks[2]]

    assert scripted_time.run(leaving()) == [0, 1]


def test_one_that_is_given_a_place_as_it_leaves_passes_it_on():
    async def leaving() -> list[float | str]:
        places = Places(1)
        tasks = [asyncio.ensure_future(visit(places, owner)) for owner in "abc"]
        tasks[0].add_done_callback(lambda _: tasks[1].cancel())
        return [await tasks[0], await tasks[2]]

    assert scripted_time.run(leaving()) == [0, 1]
