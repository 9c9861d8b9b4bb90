"""A trace of chats: who says what, and when. Pure; the same seed gives the same trace.

Sessions begin at random times. Each has one of a few system prompts, which few share much and many
little, and as many turns as Zipf's law gives it; every turn sends the whole talk so far.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

PROMPTS = 40
PROMPT_WORDS = (100, 1500)
QUESTION_WORDS = (15, 150)
REPLY_WORDS = (40, 160)
MOST_TURNS = 16
ZIPF = 1.1
THINKING_SECONDS = 4.0
SEED = 20

Message = dict[str, str]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Session:
    """`questions` are the turns, `at` the seconds at which each may be sent at the earliest."""

    system: str
    questions: tuple[str, ...]
    replies: tuple[int, ...]
    """Words of each reply."""
    at: tuple[float, ...]

    def messages(self, turn: int) -> list[Message]:
        """What is sent at this turn."""
        said: list[Message] = [{"role": "system", "content": self.system}]
        for number in range(turn):
            question = self.questions[number]
            said.append({"role": "user", "content": question})
            said.append({"role": "assistant", "content": reply(question, self.replies[number])})
        return [*said, {"role": "user", "content": self.questions[turn]}]


def reply(question: str, words: int) -> str:
    """What every server says to it: so a trace knows what its next turn sends."""
    return _text(f"r{zlib.crc32(question.encode()):x}", words)


def trace(calls_per_second: float, seconds: float, seed: int = SEED) -> list[Session]:
    """Sessions whose turns make some `calls_per_second`, in the order in which they begin."""
    chance = random.Random(seed)
    systems = [_text(f"s{number}", chance.randint(*PROMPT_WORDS)) for number in range(PROMPTS)]
    sessions: list[Session] = []
    turns = 0
    while turns < calls_per_second * seconds:
        session = _session(f"q{len(sessions)}", _zipf(chance, systems), chance, seconds)
        sessions.append(session)
        turns += len(session.questions)
    return sorted(sessions, key=lambda session: session.at[0])


def _session(name: str, system: str, chance: random.Random, seconds: float) -> Session:
    """It may have begun before the trace does, or go on after: then only what lies within counts."""
    turns = _zipf(chance, range(1, MOST_TURNS + 1))
    now, at = chance.uniform(-MOST_TURNS * THINKING_SECONDS, seconds), []
    for _ in range(turns):
        at.append(now)
        now += chance.expovariate(1 / THINKING_SECONDS) + 2.0
    within = [moment for moment in at if 0 <= moment < seconds] or [chance.uniform(0, seconds)]
    questions = [
        _text(f"{name}t{turn}", chance.randint(*QUESTION_WORDS)) for turn in range(len(within))
    ]
    replies = [chance.randint(*REPLY_WORDS) for _ in within]
    return Session(system, tuple(questions), tuple(replies), tuple(within))


def _zipf(chance: random.Random, among: Sequence[T]) -> T:
    """The first is the most frequent: its frequency over the n-th's is n to the power of ZIPF."""
    weights = list(accumulate(1 / rank**ZIPF for rank in range(1, len(among) + 1)))
    return chance.choices(among, cum_weights=weights)[0]


def _text(name: str, words: int) -> str:
    return " ".join(f"{name}w{number}" for number in range(words))
