"""The trace: the same each time, of the load that was asked for, and talks that grow."""

from __future__ import annotations

from collections import Counter

from bench.fleet.trace import MOST_TURNS, trace


def test_the_same_seed_gives_the_same_trace() -> None:
    assert trace(10, 20) == trace(10, 20)
    assert trace(10, 20) != trace(10, 20, seed=1)


def test_it_makes_about_as_many_calls_as_asked_within_its_time() -> None:
    sessions = trace(50, 30)
    moments = [at for session in sessions for at in session.at]
    assert 1500 <= len(moments) <= 1500 + MOST_TURNS
    assert min(moments) >= 0
    assert max(moments) < 30
    halves = Counter(at < 15 for at in moments)
    assert 0.7 < halves[True] / halves[False] < 1.4


def test_each_turn_sends_the_whole_talk_so_far() -> None:
    session = max(trace(50, 30), key=lambda one: len(one.at))
    earlier, later = session.messages(1), session.messages(2)
    assert later[: len(earlier)] == earlier
    assert [message["role"] for message in later] == [
        *("system", "user", "assistant", "user", "assistant", "user"),
    ]
    assert list(session.at) == sorted(session.at)


def test_few_system_prompts_are_shared_by_many_sessions() -> None:
    used = Counter(session.system for session in trace(90, 60))
    [(_, most), *_] = used.most_common(1)
    assert len(used) > 20
    assert most > 5 * sum(used.values()) / len(used)
    first_questions = [session.questions[0] for session in trace(90, 60)]
    assert len(set(first_questions)) == len(first_questions)
