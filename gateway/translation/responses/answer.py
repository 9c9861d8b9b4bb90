"""A whole chat completion -> a response object, and what keeping a response must know. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.errors import UpstreamBroke
from gateway.translation.chat import FAILED, UNREADABLE, Usage, check_output_items
from gateway.translation.responses import freeform, output
from gateway.translation.responses.frame import Frame
from gateway.translation.responses.output import Logprob, Manner

NewId = Callable[[str], str]


class Function(msgspec.Struct):
    name: str
    arguments: str | None = None


class ToolCall(msgspec.Struct):
    function: Function
    id: str | None = None


class Message(msgspec.Struct):
    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCall] | None = None


class Logprobs(msgspec.Struct):
    content: list[Logprob] | None = None


class Choice(msgspec.Struct):
    message: Message
    finish_reason: str | None = None
    logprobs: Logprobs | None = None


class Completion(msgspec.Struct):
    choices: list[Choice]
    usage: Usage | None = None


_COMPLETIONS = msgspec.json.Decoder(Completion)


def translated(body: bytes, frame: Frame, manner: Manner, new_id: NewId) -> bytes:
    """Raises UpstreamBroke for what is no chat completion."""
    try:
        completion = _COMPLETIONS.decode(body)
        choice = completion.choices[0]
    except (*UNREADABLE, IndexError):
        raise UpstreamBroke("The server's answer is no chat completion.") from None
    reason = choice.finish_reason or ""
    items = _items(choice, manner, new_id)
    whole = reason not in output.INCOMPLETE and reason not in FAILED
    if items and not whole and "status" in items[-1]:
        items[-1]["status"] = "incomplete"
    return bytes(ended(frame, reason, items, completion.usage))


def ended(
    frame: Frame, reason: str, items: list[dict[str, Any]], usage: Usage | None
) -> msgspec.Raw:
    """The final response object of a completion that finished for `reason`."""
    told = output.told(usage)
    if reason in FAILED:
        return frame.response("failed", items, told, error=output.failure(FAILED[reason]))
    if reason in output.INCOMPLETE:
        return frame.response("incomplete", items, told, incomplete=output.INCOMPLETE[reason])
    return frame.response("completed", items, told)


def _items(choice: Choice, manner: Manner, new_id: NewId) -> list[dict[str, Any]]:
    said = choice.message
    thought = said.reasoning or said.reasoning_content
    calls = said.tool_calls or []
    items = []
    if thought:
        sealed = thought if manner.seals_reasoning else None
        parts = [output.reasoning_part(thought)]
        items.append(output.reasoning(new_id("rs"), "completed", parts, sealed))
    if said.content:
        logprobs = _logprobs(choice, manner, alone=not thought and not calls)
        parts = [output.text_part(said.content, logprobs)]
        items.append(output.message(new_id("msg"), "completed", parts))
    check_output_items(len(items) + len(calls))
    return items + [_call(call, manner, new_id) for call in calls]


def _logprobs(choice: Choice, manner: Manner, *, alone: bool) -> list[Logprob]:
    entries = (choice.logprobs.content or []) if manner.logprobs and choice.logprobs else []
    return entries if alone else output.of_text(entries, choice.message.content or "")


def _call(call: ToolCall, manner: Manner, new_id: NewId) -> dict[str, Any]:
    tool = manner.tools.called(call.function.name)
    arguments = call.function.arguments or ""
    said = freeform.from_arguments(arguments) if tool.custom else arguments
    id = new_id("ctc" if tool.custom else "fc")
    return output.call(id, "completed", call.id or new_id("call"), tool, said)


class _Kept(msgspec.Struct):
    id: str
    status: str
    output: list[msgspec.Raw] = []


_KEPT = msgspec.json.Decoder(_Kept)


@dataclass(frozen=True, slots=True)
class Final:
    """A response object, as far as keeping it needs to know."""

    id: str
    status: str
    output: tuple[bytes, ...] = field(repr=False)
    """Its output items, as JSON objects."""
    body: bytes = field(repr=False)


def final(body: bytes) -> Final | None:
    """What a response object, as JSON, says of itself. None: it is no response object, or one of
    its output items is no JSON object, so that nothing could go on from it."""
    try:
        kept = _KEPT.decode(body)
    except UNREADABLE:
        return None
    items = tuple(bytes(item) for item in kept.output)
    if not all(item.startswith(b"{") for item in items):
        return None
    return Final(kept.id, kept.status, items, body)
