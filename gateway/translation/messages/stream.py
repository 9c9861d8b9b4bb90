"""A streamed chat completion as the events of a message."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Raw, Struct

from gateway import dialects, sse
from gateway.dialects import Dialect
from gateway.errors import GatewayError, UpstreamBroke
from gateway.translation import Stamp, raw
from gateway.translation.chat import DONE, ENDED_EARLY, FAILED, UNREADABLE, Usage, failure
from gateway.translation.messages import ending
from gateway.translation.messages.answer import says_something
from gateway.translation.messages.block_writer import Block, BlockWriter
from gateway.translation.messages.echo import NO_ECHO, Echo

PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
MESSAGE_STOP: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


class _Function(Struct):
    name: str | None = None
    arguments: Raw = raw.NULL


class _ToolCall(Struct):
    function: _Function | None = None
    index: int = 0
    id: str | None = None


class _Delta(Struct):
    content: Raw = raw.NULL
    reasoning: Raw = raw.NULL
    reasoning_content: Raw = raw.NULL
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct):
    delta: _Delta | None = None
    index: int = 0
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class _Chunk(Struct):
    choices: list[_Choice] | None = None
    usage: Usage | None = None
    model: str | None = None
    error: Raw = raw.NULL


_CHUNK = msgspec.json.Decoder(_Chunk)


class MessageStream:
    """An EventStream. It never raises: what breaks the stream becomes its last event, `error`.

    The stream of a server that is being stopped ends as if it were whole, with `abort`; so that
    nobody takes half an answer for one, that is an error too.
    """

    __slots__ = (
        "_blocks",
        "_calls",
        "_echo",
        "_finish",
        "_ids",
        "_model",
        "_own_id",
        "_parser",
        "_stamp",
        "_started",
        "_usage",
        "error",
        "is_over",
    )  # fmt: skip

    ping = PING
    reads_events = True

    def __init__(self, model: str, stamp: Stamp, echo: Echo = NO_ECHO) -> None:
        self.error: GatewayError | None = None
        """What broke this stream, once something has."""
        self.is_over = False
        self._model, self._stamp, self._echo = model, stamp, echo
        self._own_id = raw.text(stamp.new_id("msg"))
        self._parser = sse.Parser()
        self._blocks = BlockWriter(self._own_id)
        self._calls: dict[int, Block] = {}
        self._ids: dict[int, str] = {}
        self._finish: _Choice | None = None
        self._usage: Usage | None = None
        self._started = False

    @property
    def held_bytes(self) -> int:
        return self._parser.held_bytes + self._blocks.held_bytes

    def feed(self, piece: bytes) -> bytes:
        if self.is_over:
            return b""
        try:
            events = self._parser.feed(piece)
        except sse.EventTooLong as error:
            return self.broken(UpstreamBroke(f"The server's stream is broken: {error}."))
        said: list[bytes] = []
        for event in events:
            if self.is_over:
                break
            try:
                self._take(event.data, said)
            except GatewayError as error:
                said.append(self.broken(error))
        return b"".join(said)

    def end(self) -> bytes:
        if self.is_over:
            return b""
        if self._finish is None:
            return self.broken(UpstreamBroke(ENDED_EARLY))
        return self._last()

    def broken(self, error: GatewayError) -> bytes:
        if self.is_over:
            return b""
        self.is_over, self.error = True, error
        return dialects.event(error, Dialect.ANTHROPIC)

    def _take(self, data: bytes, said: list[bytes]) -> None:
        """One event of the server, as `said` for the client. Raises GatewayError."""
        if data == DONE:
            said.append(self.end())
            return
        chunk = _read(data)
        if not raw.is_null(chunk.error):
            raise failure(chunk.error)
        if chunk.choices is None:
            raise UpstreamBroke("The server's stream holds an event that is no completion.")
        if chunk.usage is not None:
            self._usage = chunk.usage
        if not self._started:
            said.append(self._first(chunk))
        for choice in chunk.choices:
            if choice.index == 0:
                self._say(choice, said)
        if not chunk.choices and self._finish is not None:
            said.append(self._last())

    def _first(self, chunk: _Chunk) -> bytes:
        self._started = True
        start = (
            b'event: message_start\ndata: {"type":"message_start","message":{"id":', self._own_id,
            b',"type":"message","role":"assistant","model":', raw.text(chunk.model or self._model),
            b',"content":[],"stop_reason":null,"stop_sequence":null,"usage":',
            ending.usage_of(self._usage, self._echo.of_usage), b"}}\n\n", PING,
        )  # fmt: skip
        return b"".join(start)

    def _say(self, choice: _Choice, said: list[bytes]) -> None:
        delta = choice.delta or _Delta()
        if says_something(delta.reasoning):
            said.append(self._blocks.think(delta.reasoning))
        elif says_something(delta.reasoning_content):
            said.append(self._blocks.think(delta.reasoning_content))
        if says_something(delta.content):
            said.append(self._blocks.write(delta.content))
        for call in delta.tool_calls or ():
            self._call(call, said)
        if choice.finish_reason in FAILED:
            raise UpstreamBroke(FAILED[choice.finish_reason])
        if choice.finish_reason is not None:
            self._finish = choice

    def _call(self, call: _ToolCall, said: list[bytes]) -> None:
        """A call is known by its index; an id of its own under an index that was used begins one."""
        block, function = self._calls.get(call.index), call.function or _Function()
        name = function.name
        if block is None or (name and call.id and call.id != self._ids[call.index]):
            if not name:
                raise UpstreamBroke("The server began a call without a name.")
            self._ids[call.index] = call.id or self._stamp.new_id("toolu")
            block, begun = self._blocks.call(raw.text(self._ids[call.index]), raw.text(name))
            self._calls[call.index] = block
            said.append(begun)
        if says_something(function.arguments):
            said.append(self._blocks.argue(block, function.arguments))

    def _last(self) -> bytes:
        self.is_over = True
        finish, blocks = self._finish or _Choice(), self._blocks
        stop = ending.stop_of(
            finish.finish_reason or "stop",
            finish.stop_reason,
            tools=blocks.has_calls,
            complete=blocks.last_call_is_complete(),
        )
        last = (
            blocks.finish(), b'event: message_delta\ndata: {"type":"message_delta","delta":{', stop,
            b'},"usage":', ending.usage_of(self._usage),
            self._echo.of_message, b"}\n\n", MESSAGE_STOP,
        )  # fmt: skip
        return b"".join(last)


def _read(data: bytes) -> _Chunk:
    try:
        return _CHUNK.decode(data)
    except UNREADABLE as error:
        raise UpstreamBroke(f"The server's stream cannot be read: {error}.") from None
