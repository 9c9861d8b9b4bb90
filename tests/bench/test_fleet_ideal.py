"""The most that can be found: a bound that no fleet passes."""

from __future__ import annotations

import pytest

from bench.fleet.cache import BLOCK_TOKENS
from bench.fleet.ideal import most_found
from bench.fleet.servers import words_of
from bench.fleet.trace import Session, trace

SYSTEM = " ".join(f"s{number}" for number in range(10 * BLOCK_TOKENS - 1))
"""With its role, ten blocks."""


def session(question: str, *at: float) -> Session:
    return Session(SYSTEM, (question,) * len(at), (0,) * len(at), at)


def test_the_first_finds_nothing_and_the_next_what_it_shares() -> None:
    one, two = session("a", 0.0), session("b", 1.0)
    tokens = len(words_of(two.messages(0)))
    assert most_found([one], 0.0) == 0.0
    assert most_found([two, one], 0.5) == pytest.approx(100 * 10 * BLOCK_TOKENS / tokens)


def test_a_later_turn_finds_all_that_was_said() -> None:
    talk = session("a", 0.0, 2.0)
    tokens = len(words_of(talk.messages(1)))
    whole = len(words_of(talk.messages(0))) // BLOCK_TOKENS * BLOCK_TOKENS
    assert most_found([talk], 1.0) == pytest.approx(100 * whole / tokens)


def test_most_of_the_trace_is_there_to_be_found() -> None:
    assert 85.0 < most_found(trace(20, 30), 10.0) < 100.0
