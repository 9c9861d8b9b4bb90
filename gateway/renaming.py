"""Answers that say, as their `model`, what the client asked for: an alias's setting. Pure.

Only that member is written anew: at the top, in a Responses event's `response`, and in the
`message` of Anthropic's message_start. All other members stand as the server wrote them, and
what says no model passes byte for byte.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway import sse
from gateway.calls import joined
from gateway.errors import GatewayError, UpstreamBroke
from gateway.translation import EventStream
from gateway.translation.responses.blocks import Blocks, data_of

WITHIN = ("response", "message")
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def whole(body: bytes, model: str) -> bytes:
    """`body` with `model`; as it came if it is no JSON object, or says none."""
    members = _members(body)
    if "model" not in members:
        return body
    return joined({**members, "model": msgspec.json.encode(model)})


def _members(raw: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


class Renamed:
    """An EventStream over another. It holds one unfinished event at most."""

    reads_events = True

    def __init__(self, told: EventStream, model: str) -> None:
        self._told, self._model = told, msgspec.json.encode(model)
        self._blocks = Blocks()
        self.ping = told.ping
        self.error: GatewayError | None = None

    @property
    def held_bytes(self) -> int:
        return self._told.held_bytes + self._blocks.held_bytes

    @property
    def is_over(self) -> bool:
        return self._told.is_over

    def feed(self, piece: bytes) -> bytes:
        return self._renamed(self._told.feed(piece))

    def end(self) -> bytes:
        """The last event may lack its empty line; what is no event goes out as it is."""
        return self._renamed(self._told.end()) + self._block(self._blocks.rest())

    def broken(self, error: GatewayError) -> bytes:
        """What was unfinished is dropped: the events that end the stream stand by themselves."""
        self._blocks = Blocks()
        return self._renamed(self._told.broken(error).lstrip(b"\n"))

    def _renamed(self, told: bytes) -> bytes:
        self.error = self._told.error
        try:
            blocks = self._blocks.feed(told)
        except sse.EventTooLong as error:
            raise UpstreamBroke(f"The stream cannot be read: {error}.") from error
        return b"".join(map(self._block, blocks))

    def _block(self, block: bytes) -> bytes:
        if b'"model"' not in block:
            return block
        # The last may lack its empty line; and data may be cut into lines, as JSON at a space.
        data = data_of(block + b"\n\n").replace(b"\n", b" ")
        members: dict[str, Any] = dict(_members(data))
        named = self._named(members)
        return _with_data(block, joined(members | named)) if named else block

    def _named(self, members: dict[str, Any]) -> dict[str, Any]:
        """Those of an event's members that say a model, as they are to be."""
        named: dict[str, Any] = {"model": self._model} if "model" in members else {}
        for name in WITHIN:
            inner = _members(members[name]) if name in members else {}
            if "model" in inner:
                named[name] = joined({**inner, "model": self._model})
        return named


def _with_data(block: bytes, data: bytes) -> bytes:
    """The event with other data in one line; its other lines, and how they end, as they came."""
    lines = block.removeprefix(sse.BYTE_ORDER_MARK).splitlines(keepends=True)
    first = next(number for number, line in enumerate(lines) if line.startswith(b"data:"))
    end = lines[first][len(lines[first].rstrip(b"\r\n")) :]
    rest = [line for line in lines[first:] if not line.startswith(b"data:")]
    return b"".join([*lines[:first], b"data: ", data, end, *rest])
