"""Through which Auroras a call has passed. Pure.

A provider may be another Aurora. One that is this Aurora, or that leads back to it, would pass a
call round for ever: so each adds its id to a header, and refuses a call that has its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from gateway.errors import LoopDetected

HEADER = b"x-aurora-hops"
MOST_HOPS = 8
"""Auroras in a chain. A longer one is a loop of installations that forget their ids."""
MOST_BYTES = 512
_ID = re.compile(rb"[0-9a-z]{1,32}")

Headers = Iterable[tuple[bytes, bytes]]


def passed(headers: Headers) -> tuple[str, ...]:
    """The ids of the Auroras before this one. Raises LoopDetected for more than MOST_HOPS."""
    said = b",".join(value for name, value in headers if name == HEADER)
    if not said:
        return ()
    ids = [part.strip() for part in said[: MOST_BYTES + 1].split(b",")]
    if len(said) > MOST_BYTES or len(ids) > MOST_HOPS:
        raise LoopDetected(f"This call has passed through more than {MOST_HOPS} Auroras.")
    return tuple(id.decode("ascii") for id in ids if _ID.fullmatch(id))


def check(headers: Headers, own: tuple[str, ...]) -> None:
    """Raises LoopDetected for a call that has been here before."""
    if not set(own).isdisjoint(passed(headers)):
        raise LoopDetected(
            "This call has passed through this Aurora before: one of its providers is Aurora itself,"
            " or leads back to it."
        )


def onward(headers: Headers, own: tuple[str, ...]) -> bytes:
    """The header's value for a server; empty where this Aurora has no id."""
    return ",".join((*passed(headers), *own[:1])).encode() if own else b""
