"""What looks at a server say of its state. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from providers.observed import SHUNNED, State
from providers.probing.metrics import NO_LOAD, Load

QUICK_SECONDS = 2.0
"""A healthy server says so within."""
MOST_MISSES = 2
"""Looks in a row without an answer in time: it may have been busy once."""


class Silence(Enum):
    """Why no answer came."""

    UNREACHABLE = "unreachable"
    LATE = "late"
    UNASKED = "unasked"
    """Nothing can be sent to it, for want of a key that opens."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found: the status of /health and how long it took, or why there is none."""

    answer: int | Silence
    seconds: float = 0.0
    text: str = ""
    """Why no answer came, in words for the operator."""
    load: Load = NO_LOAD


@dataclass(frozen=True, slots=True)
class Track:
    """What is known of one server after all looks so far."""

    state: State = State.UNKNOWN
    reason: str = ""
    load: Load = NO_LOAD
    recovered: int = 0
    """How often it was found well after it was not."""
    misses: int = 0
    """Looks in a row that no answer came to in time."""


UNKNOWN = Track()


def after(track: Track, look: Look) -> Track:
    """What is known once `look` is added."""
    misses = track.misses + 1 if look.answer is Silence.LATE else 0
    state, reason = _judged(track, look, misses)
    recovers = track.state in SHUNNED and state not in SHUNNED
    return Track(state, reason, look.load, track.recovered + recovers, misses)


def _judged(track: Track, look: Look, misses: int) -> tuple[State, str]:
    if not isinstance(look.answer, Silence):
        return _of_answer(look.answer, look.seconds)
    if look.answer is Silence.UNASKED:
        return State.MISCONFIGURED, look.text
    is_busy = look.answer is Silence.LATE and misses < MOST_MISSES and track.state not in SHUNNED
    return (State.DEGRADED if is_busy else State.UNHEALTHY), look.text


def _of_answer(status: int, seconds: float) -> tuple[State, str]:
    if status in {401, 403}:
        return State.MISCONFIGURED, f"It refuses the API key on /health (HTTP {status})."
    if not 200 <= status < 300 and status != 404:
        return State.UNHEALTHY, f"It answers /health with HTTP {status}."
    if seconds > QUICK_SECONDS:
        return State.DEGRADED, f"It took {seconds:.1f} s to answer /health."
    return State.HEALTHY, "" if status == 200 else f"It answers /health with HTTP {status}."
