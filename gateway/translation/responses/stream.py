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
from gateway.translation.responses import answer, output
from gateway.translation.responses.frame import Frame
from gateway.translation.responses.output import Logprob, Manner, Usage
from gateway.translation.responses.stream_items import (
    Called,
    CalledCustom,
    Spoken,
    SpokenReasoning,
    SpokenText,
    without_bytes,
)

MOST_HELD_BYTES = 256 * 2**20
"""Of one answer: its last event repeats all of it."""
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


class _Error(msgspec.Struct):
    message: str = "The server failed while it answered."


_CHUNKS = msgspec.json.Decoder(Chunk)
_LOGPROBS = msgspec.json.Decoder(answer.Logprobs)
_ERRORS = msgspec.json.Decoder(_Error)
_ABSENT = (b"", b"null")
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class ChatStream:
    """An EventStream. The parts, however the server's bytes are cut, are the same in sum."""

    ping = b""
    error: GatewayError | None = None

    def __init__(self, frame: Frame, manner: Manner, new_id: Callable[[str], str]) -> None:
        self._frame, self._manner, self._new_id = frame, manner, new_id
        self._parser = sse.Parser()
        self._told: list[bytes] = []
        self._number = 0
        self._held_bytes = 0
        self._over = False
        self._reason: str | None = None
        self._usage: Usage | None = None
        self._items: list[Spoken | Called] = []
        self._spoken: Spoken | None = None
        self._calls: dict[int, Called] = {}
        self._logprobs: list[Logprob] = []

    def feed(self, piece: bytes) -> bytes:
        if piece and not self._number:
            self._begin()
        try:
            events = self._parser.feed(piece)
        except sse.EventTooLong as error:
            raise UpstreamBroke(f"The server's stream is none: {error}.") from None
        for event in events:
            if not self._over:
                self._event(event.data)
        return self._taken()

    def end(self) -> bytes:
        self._end()
        return self._taken()

    def broken(self, error: GatewayError) -> bytes:
        if not self._number:
            self._begin()
        self._fail(output.failure(str(error), error.type), error)
        return self._taken()

    def _begin(self) -> None:
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

    def _tell_delta(self, head: bytes, text: str, logprobs: bytes) -> None:
        data = _encode(text)
        self._told.append(
            b'%b%b%b,"sequence_number":%d}\n\n' % (head, data, logprobs, self._number)
        )
        self._number += 1
        self._hold(len(data))

    def _hold(self, size: int) -> None:
        self._held_bytes += size
        if self._held_bytes > MOST_HELD_BYTES:
            raise UpstreamBroke(f"The server's answer is longer than {MOST_HELD_BYTES} bytes.")

    def _event(self, data: bytes) -> None:
        if data == b"[DONE]":
            self._end()
            return
        try:
            chunk = _CHUNKS.decode(data)
        except _UNREADABLE:
            raise UpstreamBroke("The server's stream is none of a chat completion.") from None
        if chunk.usage is not None:
            self._usage = chunk.usage
        for choice in chunk.choices:
            if choice.index == 0:
                self._choice(choice)
        if bytes(chunk.error) not in _ABSENT:
            message = _message(chunk.error)
            self._fail(output.failure(message), UpstreamBroke(message))

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
        self._tell_delta(spoken.head, text, rest)
        return spoken

    def _call(self, delta: CallDelta) -> None:
        function = delta.function or FunctionDelta()
        arguments = function.arguments or ""
        called = self._calls.get(delta.index)
        if called is None:
            called = self._new_call(delta, function)
        if called.status != "in_progress":
            _only_blank(arguments)
            return
        text = called.add(arguments) if arguments else ""
        if text:
            self._tell_delta(called.head, text, b"")

    def _new_call(self, delta: CallDelta, function: FunctionDelta) -> Called:
        if not function.name:
            raise UpstreamBroke("The server's stream calls a tool without its name.")
        self._make_way()
        tool = self._manner.tools.called(function.name)
        kind = CalledCustom if tool.custom else Called
        id = self._new_id("ctc" if tool.custom else "fc")
        call_id = delta.id or self._new_id("call")
        called = self._calls[delta.index] = kind(id, len(self._items), call_id, tool)
        self._open(called)
        return called

    def _open(self, item: Spoken | Called) -> None:
        self._items.append(item)
        for type_, members in item.opening():
            self._tell(type_, members)

    def _make_way(self) -> None:
        """Closes what is finished, before another item opens."""
        for item in self._items:
            if item.status == "in_progress" and (isinstance(item, Spoken) or item.is_whole()):
                self._close(item, "completed")
        self._spoken = None

    def _close(self, item: Spoken | Called, status: str) -> None:
        if isinstance(item, Called):
            left = item.last()
            if left:
                self._tell_delta(item.head, left, b"")
        elif isinstance(item, SpokenText):
            item.logprobs += self._logprobs
            self._logprobs = []
        item.status = status
        for type_, members in item.closing():
            self._tell(type_, members)

    def _end(self) -> None:
        if self._over:
            return
        reason = self._reason
        if reason is None:
            self._fail(output.failure(output.BROKEN_OFF), UpstreamBroke(output.BROKEN_OFF))
            return
        whole = reason not in output.INCOMPLETE and reason not in output.FAILED
        for item in self._items:
            if item.status == "in_progress":
                last = item is self._items[-1]
                self._close(item, "completed" if whole or not last else "incomplete")
        usage = None if self._usage is None else self._usage.told()
        self._finish(answer.ended(self._frame, reason, self._said(), usage))

    def _fail(self, told: dict[str, Any], error: GatewayError) -> None:
        """What is open stays so: its events would say that it is done."""
        if self._over:
            return
        self.error = error
        for item in self._items:
            if item.status == "in_progress":
                item.status = "incomplete"
        self._finish(self._frame.response("failed", self._said(), None, error=told))

    def _said(self) -> list[dict[str, Any]]:
        return [item.item() for item in self._items]

    def _finish(self, response: msgspec.Raw) -> None:
        self._over = True
        status = msgspec.json.decode(response, type=_Status).status
        self._tell(f"response.{status}", {"response": response})


class _Status(msgspec.Struct):
    status: str


def _entries(raw: msgspec.Raw) -> list[Logprob]:
    try:
        logprobs = _LOGPROBS.decode(raw)
    except _UNREADABLE:
        raise UpstreamBroke("The server's stream is none of a chat completion.") from None
    return logprobs.content or []


def _message(raw: msgspec.Raw) -> str:
    try:
        return _ERRORS.decode(raw).message
    except _UNREADABLE:
        return _Error().message


def _only_blank(arguments: str) -> None:
    if arguments.strip():
        raise UpstreamBroke("The server's stream goes on with a tool call that was finished.")
