"""A chat completion's stream -> the Responses API's events. Pure.

One item is told at a time, but for tool calls that a server sends mixed: those stay open together,
each under its own index. What was opened is closed in the order it was opened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from gateway import sse
from gateway.errors import GatewayError, UpstreamBroke
from gateway.translation.chat import (
    DONE,
    ENDED_EARLY,
    FAILED,
    MOST_HELD_BYTES,
    UNREADABLE,
    Usage,
    check_output_items,
    failure,
)
from gateway.translation.responses import answer, output
from gateway.translation.responses.frame import Frame
from gateway.translation.responses.output import Logprob, Manner
from gateway.translation.responses.stream_items import (
    Called,
    CalledCustom,
    Spoken,
    SpokenReasoning,
    SpokenText,
    without_bytes,
)

_encode = msgspec.json.Encoder().encode


class FunctionDelta(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class CallDelta(msgspec.Struct, gc=False):
    index: int = 0
    id: str | None = None
    function: FunctionDelta | None = None


class Delta(msgspec.Struct, gc=False):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallDelta] | None = None


class Choice(msgspec.Struct, gc=False):
    delta: Delta | None = None
    index: int = 0
    finish_reason: str | None = None
    logprobs: msgspec.Raw = msgspec.Raw()


class Chunk(msgspec.Struct, gc=False):
    choices: list[Choice] = []
    usage: Usage | None = None
    error: msgspec.Raw = msgspec.Raw()


_CHUNKS = msgspec.json.Decoder(Chunk)
_LOGPROBS = msgspec.json.Decoder(answer.Logprobs)
_ABSENT = (b"", b"null")


class ChatStream:
    """An EventStream. The parts, however the server's bytes are cut, are the same in sum."""

    ping = b""
    reads_events = True
    error: GatewayError | None = None

    def __init__(self, frame: Frame, manner: Manner, new_id: Callable[[str], str]) -> None:
        self._frame, self._manner, self._new_id = frame, manner, new_id
        self._parser = sse.Parser()
        self._told: list[bytes] = []
        self._number = 0
        self._held_bytes = 0
        self.is_over = False
        self._reason: str | None = None
        self._usage: Usage | None = None
        self._items: list[Spoken | Called] = []
        self._opened: list[Spoken | Called] = []
        """Those of them that are not closed."""
        self._spoken: Spoken | None = None
        self._calls: dict[int, Called] = {}
        self._logprobs: list[Logprob] = []

    @property
    def held_bytes(self) -> int:
        return self._parser.held_bytes + self._held_bytes

    def feed(self, piece: bytes) -> bytes:
        if piece:
            self._begin()
        try:
            events = self._parser.feed(piece)
        except sse.EventTooLong as error:
            raise UpstreamBroke(f"The server's stream is none: {error}.") from None
        for event in events:
            if not self.is_over:
                self._event(event.data)
        return self._taken()

    def end(self) -> bytes:
        self._begin()
        self._end()
        return self._taken()

    def broken(self, error: GatewayError) -> bytes:
        self._begin()
        self._fail(output.failure(str(error), error.type), error)
        return self._taken()

    def _begin(self) -> None:
        if self._number:
            return
        response = self._frame.response("in_progress", [])
        self._tell("response.created", {"response": response})
        self._tell("response.in_progress", {"response": response})

    def _taken(self) -> bytes:
        told = b"".join(self._told)
        self._told.clear()
        return told

    def _tell(self, type: str, members: dict[str, Any]) -> None:
        data = _encode({"type": type, **members, "sequence_number": self._number})
        self._number += 1
        self._told.append(sse.event(data, type.encode()))

    def _tell_delta(self, head: bytes, text: str, logprobs: bytes = b"") -> int:
        """How many bytes `text` is."""
        data = _encode(text)
        self._told.append(
            b'%b%b%b,"sequence_number":%d}\n\n' % (head, data, logprobs, self._number)
        )
        self._number += 1
        return len(data)

    def _hold(self, size: int) -> None:
        """Counts what the last event will repeat. Raises UpstreamBroke."""
        self._held_bytes += size
        if self._held_bytes > MOST_HELD_BYTES:
            raise UpstreamBroke(f"The server's answer is longer than {MOST_HELD_BYTES} bytes.")

    def _event(self, data: bytes) -> None:
        if data == DONE:
            self._end()
            return
        try:
            chunk = _CHUNKS.decode(data)
        except UNREADABLE:
            raise UpstreamBroke("The server's stream is none of a chat completion.") from None
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices:
            if choice.index == 0:
                self._choice(choice)
        if bytes(chunk.error) not in _ABSENT:
            error = failure(chunk.error)
            self._fail(output.failure(str(error)), error)

    def _choice(self, choice: Choice) -> None:
        delta = choice.delta
        if delta is not None:
            reasoning = delta.reasoning or delta.reasoning_content
            if reasoning:
                self._speak(SpokenReasoning, reasoning, b"")
            if delta.content is not None:
                self._text(delta.content, choice.logprobs)
            for call in delta.tool_calls or ():
                self._call(call)
        if choice.finish_reason is not None:
            self._reason = choice.finish_reason

    def _text(self, text: str, raw: msgspec.Raw) -> None:
        """Logprobs of a token that is no whole character yet go with the next text."""
        if self._manner.logprobs and bytes(raw) not in _ABSENT:
            self._hold(len(bytes(raw)))
            self._logprobs += _entries(raw)
        if not text:
            return
        entries, self._logprobs = self._logprobs, []
        told = b',"logprobs":' + _encode(without_bytes(entries)) if entries else b',"logprobs":[]'
        spoken = self._speak(SpokenText, text, told)
        spoken.logprobs += entries

    def _speak(self, kind: type[Spoken], text: str, rest: bytes) -> Spoken:
        spoken = self._spoken
        if type(spoken) is not kind or spoken is None:
            self._make_way()
            prefix = "msg" if kind is SpokenText else "rs"
            spoken = kind(self._new_id(prefix), len(self._items), self._manner)
            self._spoken = spoken
            self._open(spoken)
        spoken.texts.append(text)
        self._hold(self._tell_delta(spoken.head, text, rest))
        return spoken

    def _call(self, delta: CallDelta) -> None:
        """A call is known by its index; an id of its own under an index that was used begins one."""
        function = delta.function or FunctionDelta()
        arguments = function.arguments or ""
        called = self._calls.get(delta.index)
        if called is None or (function.name and delta.id and delta.id != called.call_id):
            called = self._new_call(delta, function)
        if called.status != "in_progress":
            _only_blank(arguments)
            return
        text = called.add(arguments) if arguments else ""
        size = self._tell_delta(called.head, text) if text else 0
        self._hold(max(size, len(arguments)))

    def _new_call(self, delta: CallDelta, function: FunctionDelta) -> Called:
        if not function.name:
            raise UpstreamBroke("The server's stream calls a tool without its name.")
        self._make_way()
        tool = self._manner.tools.called(function.name)
        kind = CalledCustom if tool.custom else Called
        id = self._new_id("ctc" if tool.custom else "fc")
        call_id = delta.id or self._new_id("call")
        self._hold(len(function.name) + len(call_id))
        called = self._calls[delta.index] = kind(id, len(self._items), call_id, tool)
        self._open(called)
        return called

    def _open(self, item: Spoken | Called) -> None:
        self._items.append(item)
        self._opened.append(item)
        check_output_items(len(self._items))
        for type_, members in item.opening():
            self._tell(type_, members)

    def _make_way(self) -> None:
        """Closes what is finished, before another item opens."""
        opened, self._opened = self._opened, []
        for item in opened:
            if isinstance(item, Spoken) or item.is_whole():
                self._close(item, "completed")
            else:
                self._opened.append(item)
        self._spoken = None

    def _close(self, item: Spoken | Called, status: str) -> None:
        if isinstance(item, Called):
            left = item.last()
            if left:
                self._tell_delta(item.head, left)
        elif isinstance(item, SpokenText):
            item.logprobs += self._logprobs
            self._logprobs = []
        item.status = status
        for type_, members in item.closing():
            self._tell(type_, members)

    def _end(self) -> None:
        if self.is_over:
            return
        reason = self._reason
        if reason is None:
            self._fail(output.failure(ENDED_EARLY), UpstreamBroke(ENDED_EARLY))
            return
        whole = reason not in output.INCOMPLETE and reason not in FAILED
        for item in self._opened:
            last = item is self._items[-1]
            self._close(item, "completed" if whole or not last else "incomplete")
        self._finish(answer.ended(self._frame, reason, self._said(), self._usage))

    def _fail(self, told: dict[str, Any], error: GatewayError) -> None:
        """What is open stays so: its events would say that it is done."""
        if self.is_over:
            return
        self.error = error
        for item in self._opened:
            item.status = "incomplete"
        self._finish(self._frame.response("failed", self._said(), None, error=told))

    def _said(self) -> list[dict[str, Any]]:
        return [item.item() for item in self._items]

    def _finish(self, response: msgspec.Raw) -> None:
        self.is_over = True
        status = msgspec.json.decode(response, type=_Status).status
        self._tell(f"response.{status}", {"response": response})


class _Status(msgspec.Struct):
    status: str


def _entries(raw: msgspec.Raw) -> list[Logprob]:
    try:
        logprobs = _LOGPROBS.decode(raw)
    except UNREADABLE:
        raise UpstreamBroke("The server's stream is none of a chat completion.") from None
    return logprobs.content or []


def _only_blank(arguments: str) -> None:
    if arguments.strip():
        raise UpstreamBroke("The server's stream goes on with a tool call that was finished.")
