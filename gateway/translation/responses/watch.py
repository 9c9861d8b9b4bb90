"""What goes to the client, watched for the response to keep. Pure."""

from __future__ import annotations

import msgspec

from gateway import sse
from gateway.translation.chat import UNREADABLE
from gateway.translation.responses.blocks import Blocks, data_of, name_of

_FINAL = frozenset({b"response.completed", b"response.incomplete", b"response.failed"})


class _Final(msgspec.Struct):
    response: msgspec.Raw


_FINALS = msgspec.json.Decoder(_Final)


class Watch:
    """Beside a stream of events, native or translated: of a delta only its name is looked at.

    Holds one unfinished event, and the final one. Once an event is too long it sees no more.
    """

    def __init__(self, most_bytes: int = sse.MOST_EVENT_BYTES) -> None:
        self._blocks: Blocks | None = Blocks(most_bytes)
        self.response: bytes | None = None
        """The final response object as JSON, once it has gone by."""

    @property
    def held_bytes(self) -> int:
        return 0 if self._blocks is None else self._blocks.held_bytes

    def feed(self, piece: bytes) -> None:
        if self._blocks is None:
            return
        try:
            blocks = self._blocks.feed(piece)
        except sse.EventTooLong:
            self._blocks = None
            return
        for block in blocks:
            if name_of(block) in _FINAL:
                self.response = _response(block)


def _response(block: bytes) -> bytes | None:
    try:
        return bytes(_FINALS.decode(data_of(block)).response)
    except UNREADABLE:
        return None
