"""What a response says of itself that only Aurora knows. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Echo:
    """The members of a response object that are Aurora's to set, not the server's."""

    previous_response_id: str | None = None
    conversation: str | None = None
    background: bool = False
    store: bool = True
    store_refused: bool = False
    """Whether `store` is false though the caller asked for true: nothing is kept here."""
    id: str | None = None
    """The response's id. None: a translation makes one, a native answer keeps the server's."""
