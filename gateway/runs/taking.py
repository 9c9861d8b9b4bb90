"""What a client would be sent, taken in as the events of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec

from gateway import headers, refusals, sse
from gateway.client import Message
from gateway.errors import UpstreamBroke
from gateway.offload import Offload
from gateway.runs.run import MOST_RUN_BYTES, Run
from gateway.state import endings
from gateway.translation.responses import Final, final

NO_RESPONSE = msgspec.Raw(b"")
MOST_NUMBER = 2**63 - 2
"""The database has one number more: that of the end, if need be."""
_NAME = re.compile(rb"[^\x00-\x1f\x7f]{1,200}")
"""What a line of a stream can hold."""


class _Event(msgspec.Struct):
    type: str
    sequence_number: Annotated[int, msgspec.Meta(ge=0, le=MOST_NUMBER)]
    response: msgspec.Raw = NO_RESPONSE


class _Error(msgspec.Struct):
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


_EVENTS = msgspec.json.Decoder(_Event)
_REFUSALS = msgspec.json.Decoder(_Refusal)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Said:
    """One event of the server's: as a run tells it, and the response object in it, if one is."""

    type: str
    number: int
    told: bytes
    response: Final | None


class Taking:
    """An ASGI client's `send` that writes into `run`. It waits for nobody but the threads that read
    large events, so no reader holds a server back."""

    def __init__(self, run: Run, offload: Offload) -> None:
        self._run, self._offload = run, offload
        self._status = 0
        self._parser: sse.Parser | None = None
        self._whole = bytearray()

    async def send(self, message: Message) -> None:
        """Raises UpstreamBroke for what is no answer to this call, and what `Run.tell` raises."""
        if message["type"] == "http.response.start":
            self._begin(message)
            return
        piece = message.get("body", b"")
        if self._parser is not None:
            await self._take_events(self._parser, piece)
        else:
            await self._take_whole(piece, ends=not message.get("more_body", False))

    def _begin(self, message: Message) -> None:
        self._run.begun()
        self._status = message["status"]
        content_type = headers.first(message["headers"], b"content-type") or b""
        if sse.is_stream(content_type):
            self._parser = sse.Parser(MOST_RUN_BYTES)

    async def _take_events(self, parser: sse.Parser, piece: bytes) -> None:
        size = parser.held_bytes + len(piece)
        try:
            events = await self._offload.run_to_the_end(size, _events, parser, piece)
        except sse.EventTooLong as error:
            raise UpstreamBroke(f"The server's stream cannot be kept: {error}.") from None
        for event in events:
            self._take(event)

    def _take(self, said: Said) -> None:
        if said.type in endings.FINAL:
            self._run.end(said.response, said.told, said.number)
            return
        if said.response is not None:
            self._run.stands(said.response)
        self._run.tell(said.number, said.told)

    async def _take_whole(self, piece: bytes, *, ends: bool) -> None:
        self._whole += piece
        if len(self._whole) > MOST_RUN_BYTES:
            raise UpstreamBroke(f"The server's answer is longer than {MOST_RUN_BYTES} bytes.")
        if not ends:
            return
        body = bytes(self._whole)
        if self._status >= 400:
            raise refusals.Reworded(self._status, _words(body, self._status))
        said = await self._offload.run(len(body), final, body)
        if said is None:
            raise UpstreamBroke("The server's answer is no response.")
        self._run.tell(0, endings.event(endings.CREATED, 0, self._run.copy.body))
        self._run.end(said, endings.event(f"response.{said.status}", 1, body), 1)


def _events(parser: sse.Parser, piece: bytes) -> list[Said]:
    """Raises EventTooLong."""
    said = map(_said, parser.feed(piece))
    return [each for each in said if each is not None]


def _said(event: sse.Event) -> Said | None:
    """None for what is not told: [DONE], another server's addition, or an error that ends a stream
    without its response, which `Run.fail` words."""
    try:
        said = _EVENTS.decode(event.data)
    except _UNREADABLE:
        return None
    name = event.name or said.type.encode()
    if not _NAME.fullmatch(name) or said.type == "error":
        return None
    told = sse.event(event.data.replace(b"\n", b" "), name)  # JSON has them between tokens only
    response = bytes(said.response)
    return Said(said.type, said.sequence_number, told, final(response) if response else None)


def _words(body: bytes, status: int) -> str:
    try:
        return _REFUSALS.decode(body).error.message
    except _UNREADABLE:
        return f"The server answered HTTP {status}."
