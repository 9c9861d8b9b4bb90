"""A whole chat completion as a message, and a count of tokens."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from gateway.errors import UpstreamBroke
from gateway.translation import Stamp, raw
from gateway.translation.chat import FAILED, UNREADABLE, Usage, check_output_items, counted
from gateway.translation.messages import ending
from gateway.translation.messages.echo import NO_ECHO, Echo
from gateway.translation.raw import Json

NOTHING_SAID = b'{"type":"text","text":""}'
"""The one block of an answer without any: clients read the first block without looking."""


class _Function(Struct):
    name: str
    arguments: str | None = None


class _ToolCall(Struct):
    function: _Function
    id: str | None = None


class _Message(Struct):
    content: Raw = raw.NULL
    reasoning: Raw = raw.NULL
    reasoning_content: Raw = raw.NULL
    tool_calls: list[_ToolCall] | None = None


class _Choice(Struct):
    message: _Message
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class _Completion(Struct):
    choices: list[_Choice]
    model: str | None = None
    usage: Usage | None = None


_COMPLETION = msgspec.json.Decoder(_Completion)


def message(answer: bytes, model: str, stamp: Stamp, echo: Echo = NO_ECHO) -> bytes:
    """Raises UpstreamBroke for what is no completion, or one that was broken off."""
    completion = _read(answer)
    if not completion.choices:
        raise UpstreamBroke("The server's completion holds no choice.")
    choice, own_id = completion.choices[0], raw.text(stamp.new_id("msg"))
    if choice.finish_reason in FAILED:
        raise UpstreamBroke(FAILED[choice.finish_reason])
    content = blocks(choice.message, stamp, signature=own_id)
    said = (
        b'{"id":', own_id, b',"type":"message","role":"assistant","model":',
        raw.text(completion.model or model), b',"content":', raw.array_of(content or [NOTHING_SAID]), b",",
        _stop(choice), b',"usage":', ending.usage_of(completion.usage, echo.of_usage),
        echo.of_message, b"}",
    )  # fmt: skip
    return b"".join(said)


def blocks(answered: _Message, stamp: Stamp, signature: Json) -> list[bytes]:
    """Thinking, text, then calls: the order in which a chat message holds them.

    Thinking is signed with the message's id: some clients send back only what is signed.
    """
    found = []
    thoughts = answered.reasoning
    if not says_something(thoughts):
        thoughts = answered.reasoning_content
    if says_something(thoughts):
        members = {"type": b'"thinking"', "thinking": thoughts, "signature": signature}
        found.append(raw.object_of(members))
    if says_something(answered.content):
        found.append(raw.object_of({"type": b'"text"', "text": answered.content}))
    calls = answered.tool_calls or ()
    check_output_items(len(found) + len(calls))
    return found + [_tool_use(call, stamp) for call in calls]


def says_something(value: Raw) -> bool:
    """Whether this is a text, and not an empty one. Raises UpstreamBroke for what is no text."""
    if raw.is_text(value):
        return not raw.is_empty_text(value)
    if raw.is_null(value):
        return False
    raise UpstreamBroke("The server's completion holds something else where a text belongs.")


def _tool_use(call: _ToolCall, stamp: Stamp) -> bytes:
    return raw.object_of({
        "type": b'"tool_use"',
        "id": raw.text(call.id or stamp.new_id("toolu")),
        "name": raw.text(call.function.name),
        "input": _input(call.function.arguments or ""),
    })  # fmt: skip


def _input(arguments: str) -> bytes:
    """Arguments that are no object, such as those a limit cut, are kept as a text inside one."""
    if not arguments.strip():
        return b"{}"
    written = arguments.encode()
    if ending.is_object(written):
        return written
    return raw.object_of({"raw_arguments": raw.text(arguments)})


def _stop(choice: _Choice) -> bytes:
    calls = choice.message.tool_calls or []
    complete = bool(calls) and ending.is_object((calls[-1].function.arguments or "").encode())
    finish = choice.finish_reason or "stop"
    return ending.stop_of(finish, choice.stop_reason, tools=bool(calls), complete=complete)


def count(answer: bytes) -> bytes:
    """What /tokenize counted. Raises UpstreamBroke."""
    tokens = counted(answer)
    managed = b'{"original_input_tokens":%d}' % tokens
    return b'{"input_tokens":%d,"context_management":%b}' % (tokens, managed)


def _read(answer: bytes) -> _Completion:
    try:
        return _COMPLETION.decode(answer)
    except UNREADABLE as error:
        raise UpstreamBroke(f"The server's answer cannot be read: {error}.") from None
