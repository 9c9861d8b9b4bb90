"""How a question to a server travels: what the gateway's one door to the network promises here."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from providers.faults import Fault


class FetchFailed(Exception):
    """No answer came. The text says why, `mend` what to do; neither holds credentials."""

    def __init__(self, text: str, mend: str = "") -> None:
        super().__init__(text)
        self.mend = mend

    @property
    def explained(self) -> str:
        return f"{self} {self.mend}".rstrip()


class NotReached(FetchFailed):
    """There was no connection, or it ended before it brought an answer."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"Cannot be reached: {fault.fact}.", fault.mend)


class NoAnswerInTime(FetchFailed):
    """The server may be there, and at something else."""


class TooLong(FetchFailed):
    """An answer came, and is longer than was asked for."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """`location` is where a redirect leads."""

    status: int
    body: bytes
    location: str = ""


class Fetch(Protocol):
    """GET `url`; the whole answer within `seconds`, else NoAnswerInTime; over `most_bytes`, TooLong;
    and FetchFailed where none comes."""

    async def __call__(
        self, url: str, authorization: str | None, *, seconds: float, most_bytes: int
    ) -> Fetched: ...


class Fetching(Fetch, Protocol):
    """Over a connection each; `together`, over one, which is closed at the end."""

    def together(self) -> AbstractAsyncContextManager[Fetch]: ...
