"""What a client would be sent, taken in as the events of a run."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

from gateway import headers, refusals, sse
from gateway.client import Message
from gateway.errors import UpstreamBroke
from gateway.runs.run import MOST_RUN_BYTES, Run
from gateway.state import endings
from gateway.translation.responses import final

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


class Taking:
    """An ASGI client's `send` that writes into `run`. It never waits, so nothing holds a server back."""

    def __init__(self, run: Run) -> None:
        self._run = run
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
            self._take_events(self._parser, piece)
        else:
            self._take_whole(piece, ends=not message.get("more_body", False))

    def _begin(self, message: Message) -> None:
        self._run.request_bytes = 0
        self._status = message["status"]
        content_type = headers.first(message["headers"], b"content-type") or b""
        if sse.is_stream(content_type):
            self._parser = sse.Parser(MOST_RUN_BYTES)

    def _take_events(self, parser: sse.Parser, piece: bytes) -> None:
        try:
            events = parser.feed(piece)
        except sse.EventTooLong as error:
            raise UpstreamBroke(f"The server's stream cannot be kept: {error}.") from None
        for event in events:
            self._take(event)

    def _take(self, event: sse.Event) -> None:
        try:
            said = _EVENTS.decode(event.data)
        except _UNREADABLE:
            return  # [DONE], or another server's addition
        name = event.name or said.type.encode()
        if not _NAME.fullmatch(name):
            return
        if said.type == "error":  # what ends a stream without its response; `Run.fail` words it
            return
        told = sse.event(event.data.replace(b"\n", b" "), name)  # JSON has them between tokens only
        response = bytes(said.response)
        if said.type in endings.FINAL:
            self._run.end(response, told, said.sequence_number)
            return
        if response:
            self._run.stands(response)
        self._run.tell(said.sequence_number, told)

    def _take_whole(self, piece: bytes, *, ends: bool) -> None:
        self._whole += piece
        if len(self._whole) > MOST_RUN_BYTES:
            raise UpstreamBroke(f"The server's answer is longer than {MOST_RUN_BYTES} bytes.")
        if not ends:
            return
        body = bytes(self._whole)
        if self._status >= 400:
            raise refusals.Reworded(self._status, _words(body, self._status))
        said = final(body)
        if said is None:
            raise UpstreamBroke("The server's answer is no response.")
        self._run.tell(0, endings.event(endings.CREATED, 0, self._run.copy.body))
        self._run.end(body, endings.event(f"response.{said.status}", 1, body), 1)


def _words(body: bytes, status: int) -> str:
    try:
        return _REFUSALS.decode(body).error.message
    except _UNREADABLE:
        return f"The server answered HTTP {status}."
