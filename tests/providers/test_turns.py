"""How servers turn is told in a line each, and of many at once in one."""

from __future__ import annotations

import asyncio
import logging

import pytest

from providers import turns
from providers.turns import MOST_SINGLE, Turn, TurnLog, brief, line, told

pytestmark = pytest.mark.anyio
LOG = logging.getLogger("aurora.background")
MANY = MOST_SINGLE + 1


def failing(provider: str, reason: str = "Refuses.") -> Turn:
    written = line(LOG, logging.WARNING, provider, f": {reason}")
    return Turn(logging.WARNING, provider, reason, written)


async def test_in_a_small_fleet_each_is_told_of_at_once(caplog) -> None:
    TurnLog().tell(failing("a"), fleet=MOST_SINGLE)
    assert caplog.messages == ["provider a: Refuses."]


async def test_few_of_a_large_fleet_are_told_of_one_by_one(caplog) -> None:
    held = TurnLog()
    for name in ("a", "b"):
        held.tell(failing(name), fleet=200)
    assert caplog.messages == []
    held.write()
    assert caplog.messages == ["provider a: Refuses.", "provider b: Refuses."]


async def test_many_are_told_of_in_one_line_by_reason(caplog) -> None:
    held = TurnLog()
    for number in range(MANY):
        held.tell(failing(f"a{number:02}"), fleet=200)
        held.tell(failing(f"a{number:02}", "Is unhealthy."), fleet=200)  # of the prober
    held.tell(failing("b", "No answer."), fleet=200)
    held.write()
    [message] = caplog.messages
    assert message == (
        f"{MANY + 1} providers fail: a00, a01, a02, a03, a04 and {MANY - 5} more: Refuses.;"
        " b: No answer."
    )


async def test_what_comes_is_told_of_once_it_is_quiet(caplog, monkeypatch) -> None:
    monkeypatch.setattr(turns, "QUIET_SECONDS", 0.01)
    held = TurnLog()
    for number in range(MANY):
        held.tell(failing(f"a{number}"), fleet=200)
    while not caplog.messages:  # noqa: ASYNC110 - a log wakes nobody
        await asyncio.sleep(0.01)
    assert len(caplog.messages) == 1


def test_the_most_frequent_reasons_come_first_and_no_more_than_some() -> None:
    named = [(f"p{number}", f"reason {number}") for number in range(9)] + [("q", "reason 8")]
    assert told(named).startswith("p8, q: reason 8; ")
    assert told(named).endswith("and 4 other reasons")


def test_what_a_start_did_to_many_providers_is_one_sentence() -> None:
    one = ["provider a: added from the environment"]
    assert brief(one) == one
    many = [f"provider a{number:02}: added from the environment" for number in range(MANY)]
    assert brief(["key x: added", *many, "provider b: left"]) == [
        "key x: added",
        f"{MANY} providers: added from the environment: a00, a01, a02, a03, a04 and {MANY - 5} more",
        "provider b: left",
    ]
