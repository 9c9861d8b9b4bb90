"""A native answer on its way: untouched but for what its response objects say of Aurora. Pure."""

from __future__ import annotations

import msgspec

from gateway import dialects, sse
from gateway.errors import GatewayError, UpstreamBroke
from gateway.translation.chat import UNREADABLE
from gateway.translation.responses.blocks import (
    LIFECYCLE,
    Blocks,
    data_of,
    name_of,
    sequence_number,
)
from gateway.translation.responses.echo import Echo

Members = dict[str, msgspec.Raw]
_MEMBERS = msgspec.json.Decoder(Members)


class Restamped:
    """A native stream, as an EventStream.

    Every event passes byte for byte, but those that hold a response object: in these Echo's
    members stand instead of the server's. Where Echo says nothing, nothing is read.
    """

    ping = b""
    error: GatewayError | None = None
    is_over = False
    reads_events = True

    def __init__(self, echo: Echo) -> None:
        self._stamped = _members(echo)
        self._blocks = Blocks()
        self._last = b""

    @property
    def held_bytes(self) -> int:
        return self._blocks.held_bytes

    def feed(self, piece: bytes) -> bytes:
        try:
            blocks = self._blocks.feed(piece)
        except sse.EventTooLong as error:
            raise UpstreamBroke(f"The server's stream is none: {error}.") from None
        if not blocks:
            return b""
        self._last = blocks[-1]
        if not self._stamped:
            return b"".join(blocks)
        return b"".join(map(self._restamped, blocks))

    def end(self) -> bytes:
        return self._blocks.rest()

    def broken(self, error: GatewayError) -> bytes:
        number = sequence_number(self._last) + 1
        return dialects.event(error, dialects.Dialect.RESPONSES, number)

    def whole(self, body: bytes) -> bytes:
        """A response object, as JSON; what is none passes as it is."""
        if not self._stamped:
            return body
        members = _read(body)
        if members is None or "output" not in members:
            return body
        return msgspec.json.encode(members | self._stamped)

    def _restamped(self, block: bytes) -> bytes:
        if name_of(block) not in LIFECYCLE:
            return block
        event = _read(data_of(block).replace(b"\n", b" "))
        response = None if event is None else event.get("response")
        members = None if response is None else _read(response)
        if event is None or members is None:
            return block
        stamped = msgspec.Raw(msgspec.json.encode(members | self._stamped))
        return sse.event(msgspec.json.encode(event | {"response": stamped}), name_of(block))


def unstored(piece: bytes, *, streamed: bool) -> bytes:
    """A piece of an answer whose response is not kept: each response object that it holds as a whole
    says `store` false."""
    refused = Restamped(Echo(store_refused=True))
    if not streamed:
        return refused.whole(piece)
    try:
        return refused.feed(piece) + refused.end()
    except UpstreamBroke:
        return piece


def _members(echo: Echo) -> Members:
    """What differs from what a vLLM server says of itself."""
    said: dict[str, object] = {}
    if echo.id is not None:
        said["id"] = echo.id
    if echo.previous_response_id is not None:
        said["previous_response_id"] = echo.previous_response_id
    if echo.conversation is not None:
        said["conversation"] = {"id": echo.conversation}
    if echo.background:
        said["background"] = True
    if echo.store_refused:
        said["store"] = False
    return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in said.items()}


def _read(data: bytes | msgspec.Raw) -> Members | None:
    try:
        return _MEMBERS.decode(data)
    except UNREADABLE:
        return None
