"""Content blocks as events, one after the other, however their pieces come in."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import Raw

from gateway.errors import UpstreamBroke
from gateway.translation import raw
from gateway.translation.chat import MOST_HELD_BYTES, ObjectEnd, check_output_items
from gateway.translation.messages import ending
from gateway.translation.raw import Json

_TOOL, _THINKING, _TEXT = b"input_json_delta", b"thinking_delta", b"text_delta"
_VALUES = {_TOOL: b"partial_json", _THINKING: b"thinking", _TEXT: b"text"}


@dataclass(slots=True, eq=False)
class Block:
    """One block on its way. `begun` is its content_block_start's block, as JSON."""

    kind: bytes
    begun: bytes
    pieces: list[Raw] = field(default_factory=list)
    """Of a call, all there were; of another block, those that wait."""
    _end: ObjectEnd = field(default_factory=ObjectEnd)
    _looked_at: int = 0
    """How many of the pieces `_end` has seen."""
    _is_object: bool | None = None
    """Whether what ended is an object. None: nothing has ended yet."""

    @property
    def is_tool(self) -> bool:
        return self.kind == _TOOL

    def is_complete(self) -> bool:
        """Whether nothing is missing that the next block would have to wait for."""
        return not self.is_tool or self._is_whole()

    def _is_whole(self) -> bool:
        """Each piece is looked at once, and all of them are decoded once at most."""
        self._end.feed(ending.arguments_of(self.pieces[self._looked_at :]).decode())
        self._looked_at = len(self.pieces)
        if not self._end.is_reached:
            return False
        if self._is_object is None:
            self._is_object = ending.is_object(ending.arguments_of(self.pieces))
        return self._is_object


class BlockWriter:
    """The events of an answer's blocks. At most one block is open at any time.

    vLLM may begin a call while another is still being written. What comes for a later block then
    waits until the open call is whole, or the answer is at its end.
    """

    __slots__ = (
        "_begun", "_count", "_head", "_last_call", "_open", "_signature", "_waiting", "held_bytes",
    )  # fmt: skip

    def __init__(self, signature: Json) -> None:
        self._signature = signature
        self._open: Block | None = None
        self._waiting: list[Block] = []
        self._last_call: Block | None = None
        self._begun = self._count = 0
        self._head = b""
        self.held_bytes = 0

    @property
    def has_calls(self) -> bool:
        return self._last_call is not None

    def last_call_is_complete(self) -> bool:
        return self._last_call is not None and self._last_call.is_complete()

    def think(self, piece: Raw) -> bytes:
        return self._say(_THINKING, b'{"type":"thinking","thinking":"","signature":""}', piece)

    def write(self, piece: Raw) -> bytes:
        return self._say(_TEXT, b'{"type":"text","text":""}', piece)

    def _say(self, kind: bytes, begun: bytes, piece: Raw) -> bytes:
        """`piece` for the last block of its kind, if nothing came after that, else a new one."""
        last = self._waiting[-1] if self._waiting else self._open
        if last is None or last.kind != kind:
            last = Block(kind, begun)
            return self._begin(last) + self._put(last, piece)
        return self._put(last, piece)

    def call(self, id: Json, name: Json) -> tuple[Block, bytes]:
        """A new tool_use block, and what is to be sent for it by now."""
        begun = raw.object_of({"type": b'"tool_use"', "id": id, "name": name, "input": b"{}"})
        block = Block(_TOOL, begun)
        self._last_call = block
        return block, self._begin(block)

    def argue(self, block: Block, piece: Raw) -> bytes:
        """A piece of the arguments of `block`. Raises UpstreamBroke when it comes too late."""
        return self._put(block, piece)

    def _begin(self, block: Block) -> bytes:
        self._begun += 1
        check_output_items(self._begun)
        self._hold(len(block.begun))
        if self._waiting or (self._open is not None and not self._open.is_complete()):
            self._waiting.append(block)
            return b""
        return self._close() + self._start(block)

    def _put(self, block: Block, piece: Raw) -> bytes:
        if block is self._open:
            if block.is_tool:
                self._keep(block, piece)
                if self._waiting:
                    return self._delta(piece) + self._catch_up()
            return self._delta(piece)
        if block not in self._waiting:
            if not ending.arguments_of([piece]).strip():
                return b""
            raise UpstreamBroke("The server went on with a call that it had finished.")
        self._keep(block, piece)
        return b""

    def _keep(self, block: Block, piece: Raw) -> None:
        self._hold(len(memoryview(piece)))
        block.pieces.append(piece)

    def _hold(self, size: int) -> None:
        self.held_bytes += size
        if self.held_bytes > MOST_HELD_BYTES:
            raise UpstreamBroke(f"The server's calls are longer than {MOST_HELD_BYTES} bytes.")

    def _catch_up(self) -> bytes:
        """The blocks that waited for the open call, when it has become whole."""
        events = []
        while self._waiting and self._open is not None and self._open.is_complete():
            events += [self._close(), self._start(self._waiting.pop(0))]
        return b"".join(events)

    def finish(self) -> bytes:
        """Everything that waited, and the end of the last block."""
        events = [self._close()]
        for block in self._waiting:
            events += [self._start(block), self._close()]
        self._waiting.clear()
        if not self._count:
            events += [self._start(Block(_TEXT, b'{"type":"text","text":""}')), self._close()]
        return b"".join(events)

    def _start(self, block: Block) -> bytes:
        """The block's start and what waited of it."""
        self._open = block
        head = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
        head += b'"delta":{"type":"%b","%b":'
        self._head = head % (self._count, block.kind, _VALUES[block.kind])
        start = b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,'
        start += b'"content_block":%b}\n\n'
        return start % (self._count, block.begun) + b"".join(map(self._delta, block.pieces))

    def _delta(self, piece: Json) -> bytes:
        return b"".join((self._head, piece, b"}}\n\n"))

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        signed = b""
        if self._open.kind == _THINKING:
            signed = (
                b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,'
                b'"delta":{"type":"signature_delta","signature":%b}}\n\n'
            ) % (self._count, bytes(memoryview(self._signature)))
        stop = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
        stop %= self._count
        self._open = None
        self._count += 1
        return signed + stop
