"""Tells the log how servers turn: each in a line of its own, or, where many do at once, all in one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

MOST_SINGLE = 10
"""More than so many are told together."""
MOST_NAMES, MOST_REASONS = 5, 5
"""In one line."""
QUIET_SECONDS, MOST_GATHER_SECONDS = 1.0, 15.0
"""Of a large fleet: what comes with no longer pauses belongs together, up to so long. A server that
says nothing is given up within the longer time."""
log = logging.getLogger("aurora.background")


@dataclass(frozen=True, slots=True)
class Turn:
    """`line` writes it by itself."""

    level: int
    provider: str
    reason: str
    line: Callable[[], None]


class TurnLog:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._gathered: list[Turn] = []
        self._since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def tell(self, turn: Turn, *, fleet: int, more_come: bool = False) -> None:
        """At once, where a fleet of so many servers is a small one. `more_come`: others are about to
        be heard of, and belong to it."""
        if fleet <= MOST_SINGLE:
            turn.line()
            return
        loop = asyncio.get_running_loop()
        if not self._gathered:
            self._since = loop.time()
        self._gathered.append(turn)
        if self._timer is not None:
            self._timer.cancel()
        left = self._since + MOST_GATHER_SECONDS - loop.time()
        pause = left if more_come else min(left, QUIET_SECONDS)
        self._timer = loop.call_later(max(0.0, pause), self.write)

    def write(self) -> None:
        """What has gathered."""
        gathered, self._gathered = self._gathered, []
        if self._timer is not None:
            self._timer.cancel()
        if len(gathered) <= MOST_SINGLE:
            for turn in gathered:
                turn.line()
            return
        for level, said in ((logging.WARNING, "fail"), (logging.INFO, "answer")):
            named = {t.provider: t.reason for t in reversed(gathered) if t.level == level}
            if named:
                names = sorted(named)
                fields = {"fields": {"providers": len(names)}}
                text = f"{len(names)} provider{'s' if len(names) > 1 else ''} {said}: %s"
                log.log(level, text, told((n, named[n]) for n in names), extra=fields)


def told(named: Iterable[tuple[str, str]]) -> str:
    """Each reason with some of those that have it, the most frequent first."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in named:
        by_reason.setdefault(reason, []).append(name)
    ranked = sorted(by_reason.items(), key=lambda each: -len(each[1]))
    parts = [f"{_some(names)}: {reason}" for reason, names in ranked[:MOST_REASONS]]
    if len(ranked) > MOST_REASONS:
        parts.append(f"and {len(ranked) - MOST_REASONS} other reasons")
    return "; ".join(parts)


def brief(sentences: list[str]) -> list[str]:
    """`sentences`, those of many providers that say the same in one. Each begins with its provider's
    name and a colon, or is left as it is."""
    if len(sentences) <= MOST_SINGLE:
        return sentences
    named: dict[str, list[str]] = {}
    for sentence in sentences:
        subject, _, rest = sentence.partition(": ")
        is_named = subject.startswith("provider ") and bool(rest)
        named.setdefault(rest if is_named else sentence, []).append(subject if is_named else "")
    return [_together(subjects, rest) for rest, subjects in named.items()]


def _together(subjects: list[str], rest: str) -> str:
    if not subjects[0]:
        return rest
    if len(subjects) == 1:
        return f"{subjects[0]}: {rest}"
    names = [subject.removeprefix("provider ") for subject in subjects]
    return f"{len(names)} providers: {rest}: {_some(names)}"


def _some(names: list[str]) -> str:
    rest = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + rest


def line(
    written_by: logging.Logger, level: int, provider: str, text: str, **fields: str
) -> Callable[[], None]:
    """Writes a line about one provider."""
    extra = {"fields": {"provider": provider, **fields}}
    return partial(written_by.log, level, "provider %s%s", provider, text, extra=extra)
