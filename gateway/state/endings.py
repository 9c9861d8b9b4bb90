"""What a response object says once it has failed or been cancelled, and the events about it. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway import calls, sse
from gateway.errors import GatewayError, NotReady

CREATED, FAILED = "response.created", "response.failed"
FINAL = frozenset({"response.completed", "response.incomplete", FAILED})
_ENDS = tuple(f"event: {name}\n".encode() for name in FINAL)
MOST_MESSAGE_CHARACTERS = 2000

_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def stopped() -> NotReady:
    """Why a response fails that nobody generates any more."""
    return NotReady("Aurora was stopped while it generated this response.")


def changed(body: bytes, **members: Any) -> bytes:
    """The response object `body` with these members instead of its own."""
    new = {name: msgspec.json.encode(value) for name, value in members.items()}
    return calls.joined({**_MEMBERS.decode(body), **new})


def failed(body: bytes, error: GatewayError) -> bytes:
    """As it stands after `error`, whose code is put as OpenAI names those of a response."""
    message = str(error)[:MOST_MESSAGE_CHARACTERS]
    said = {"code": _code(error.status), "message": message}
    return changed(body, status="failed", error=said)


def cancelled(body: bytes) -> bytes:
    return changed(body, status="cancelled")


def _code(status: int) -> str:
    if status == 429:
        return "rate_limit_exceeded"
    return "invalid_prompt" if 400 <= status < 500 else "server_error"


def event(kind: str, number: int, body: bytes) -> bytes:
    """The event of this kind about the response object `body`, as server-sent bytes."""
    numbered = {"type": msgspec.json.encode(kind), "sequence_number": str(number).encode()}
    return sse.event(calls.joined({**numbered, "response": body}), kind.encode())


def is_final(event: bytes) -> bool:
    """Whether this event of a stream tells how its response ended."""
    return event.startswith(_ENDS)


def failing(before: bytes, body: bytes, last: int) -> list[tuple[int, bytes]]:
    """The events that end a stream with the failed `body`, after the one of number `last`.

    One that has told nothing (-1) begins with the response as it was: clients look for that first.
    """
    begun = [(0, event(CREATED, 0, before))] if last < 0 else []
    number = max(last, 0) + 1
    return [*begun, (number, event(FAILED, number, body))]
