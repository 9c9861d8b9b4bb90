"""Input items -> chat messages: what one turn of the assistant said becomes one message. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.translation.documents import NO_PDFS, ONLY_UNSEEN, PdfTexts
from gateway.translation.responses import freeform, history, parts, reading, sealing
from gateway.translation.responses.parts import Part, Said
from gateway.translation.responses.tools import flat_name
from gateway.translation.turns import LATER_SYSTEM_ROLE, OpenCalls, images_behind

_SYSTEM = ("system", "developer")
_UNFINISHED = ("in_progress", "incomplete")

Message = dict[str, Any]


def messages(
    instructions: str | None,
    items: Sequence[Any],
    where: Callable[[int], str],
    pdfs: PdfTexts = NO_PDFS,
) -> list[Message]:
    """The conversation. `where(3)` names the fourth item in a refusal. Raises InvalidRequest."""
    listed = [reading.mapping(value, where(index)) for index, value in enumerate(items)]
    turns = Turns(instructions, Counter(map(_answered_call, listed)), pdfs)
    for index, item in enumerate(listed):
        turns.add(item, where(index))
    return turns.whole()


def is_unfinished(items: Sequence[Any]) -> bool:
    """Whether the model is to go on with the assistant's last words, as vLLM's own route does."""
    last = items[-1] if items else None
    return (
        isinstance(last, dict)
        and last.get("role") == "assistant"
        and last.get("status") in _UNFINISHED
    )


def kind_of(item: Mapping[str, Any]) -> Any:
    """An item's type, which a message and a reference may leave out."""
    kind = item.get("type")
    if kind is None and "role" in item:
        return "message"
    if kind is None and set(item) == {"id"}:
        return "item_reference"
    return kind


class Turns:
    """Messages as they grow, item by item."""

    def __init__(self, instructions: str | None, results: Counter[str], pdfs: PdfTexts) -> None:
        """`results` counts by call id the results that are among the items."""
        self._pdfs = pdfs
        self._system = [instructions] if instructions else []
        self._said: list[Message] = []
        self._results_to_come = results
        self._calls: OpenCalls[Message] = OpenCalls()
        self._results: list[tuple[str, list[Part]]] = []
        """The last tool results in a row: their call ids and images."""
        self._calls_told: set[str] = set()
        """The ids of calls that are told as text, and so are their results."""
        self._note: Message | None = None
        self._last_turn: list[str | None] = []
        """What came since the assistant's last words; the places of what the model cannot see."""

    def add(self, item: dict[str, Any], param: str) -> None:
        kind = kind_of(item)
        if not isinstance(kind, str):
            reading.refuse(f"{param}.type", f"`{param}.type` must say what kind of item this is.")
        _ADDING.get(kind, Turns.other)(self, item, param)

    def whole(self) -> list[Message]:
        """All messages. Raises InvalidRequest if the last turn is nothing that a model can see."""
        self._settle()
        unseen = [place for place in self._last_turn if place is not None]
        if unseen and len(unseen) == len(self._last_turn):
            reading.refuse(unseen[0], f"`{unseen[0]}` {ONLY_UNSEEN}")
        system = [{"role": "system", "content": "\n\n".join(self._system)}] if self._system else []
        return system + self._said

    def message(self, item: dict[str, Any], param: str) -> None:
        role = reading.text(item.get("role"), f"{param}.role")
        if role == "assistant":
            self._speak(parts.spoken(item.get("content"), f"{param}.content"))
            return
        said = parts.content(item.get("content"), f"{param}.content", self._pdfs)
        if role not in _SYSTEM:
            self._say("user", said)
        elif self._said or said.media:
            self._say(LATER_SYSTEM_ROLE, said)
        elif said.text:
            self._system.append(said.text)

    def agent_message(self, item: dict[str, Any], param: str) -> None:
        """Of another agent to this one: whom it is from stands in its text."""
        text = history.words(item.get("content") or "")
        if text:
            self._say("user", Said(text))

    def reasoning(self, item: dict[str, Any], param: str) -> None:
        reasoning = _reasoning(item)
        if reasoning:
            self._answer({"reasoning": reasoning})

    def function_call(self, item: dict[str, Any], param: str) -> None:
        self._call(item, param, reading.text(item.get("arguments"), f"{param}.arguments"))

    def custom_tool_call(self, item: dict[str, Any], param: str) -> None:
        text = reading.text(item.get("input"), f"{param}.input")
        self._call(item, param, freeform.as_arguments(text))

    def output(self, item: dict[str, Any], param: str) -> None:
        call_id = reading.text(item.get("call_id"), f"{param}.call_id")
        given = item.get("output")
        readable = given if isinstance(given, (str, list)) else history.words(given or "")
        said = parts.content(readable, f"{param}.output", self._pdfs)
        self._results_to_come[call_id] -= 1
        if call_id in self._calls_told:
            self._tell(history.result(said.text))
            return
        self._said.append({"role": "tool", "tool_call_id": call_id, "content": said.text})
        self._results.append((call_id, said.media))
        self._calls.answer(call_id)
        self._last_turn.append(None)

    def reference(self, item: dict[str, Any], param: str) -> None:
        reading.refuse(f"{param}.id", f"There is no item {reading.quoted(item.get('id'))}.")

    def other(self, item: dict[str, Any], param: str) -> None:
        if isinstance(item.get("call_id"), str):
            self._calls_told.add(item["call_id"])
        line = history.told(item["type"], item)
        if line:
            self._tell(line)

    def _say(self, role: str, said: Said) -> None:
        self._last_turn.append(said.unseen)
        self._put({"role": role, "content": said.content})

    def _tell(self, line: str) -> None:
        """A line of text, in one message with the last one if nothing came between."""
        last = self._said[-1] if self._said else None
        if self._note is None or self._note is not last:
            self._note = {"role": "user", "content": []}
            self._put(self._note)
        self._note["content"].append(_text_part(line))

    def _put(self, message: Message) -> None:
        if self._calls.are_answered:
            self._settle()
            self._said.append(message)
        else:
            self._calls.wait(message)

    def _settle(self) -> None:
        """Put what belongs behind the last results there."""
        images = images_behind(self._results, _text_part)
        self._results = []
        if images:
            self._said.append({"role": "user", "content": images})
        self._said += self._calls.release()

    def _speak(self, text: str) -> None:
        last = self._of_the_assistant()
        if last is None or "content" in last:
            self._answer({"content": text})
        else:
            last["content"] = text

    def _call(self, item: dict[str, Any], param: str, arguments: str) -> None:
        name = reading.text(item.get("name"), f"{param}.name")
        namespace = reading.optional_text(item.get("namespace"), f"{param}.namespace")
        call_id = reading.text(item.get("call_id"), f"{param}.call_id")
        function = {"name": flat_name(namespace, name), "arguments": arguments}
        call = {"id": call_id, "type": "function", "function": function}
        last = self._of_the_assistant()
        if last is None:
            self._answer({"tool_calls": [call]})
        else:
            last.setdefault("tool_calls", []).append(call)
        if self._results_to_come[call_id] > 0:
            self._calls.call(call_id)

    def _answer(self, members: Message) -> None:
        """A new message of the assistant."""
        if self._calls.are_answered:
            self._settle()
        self._last_turn.clear()
        self._said.append({"role": "assistant", **members})

    def _of_the_assistant(self) -> Message | None:
        """The message that the assistant has begun, if nothing came after it."""
        last = self._said[-1] if self._said else None
        return last if last is not None and last["role"] == "assistant" else None


_ADDING: Mapping[str, Callable[[Turns, dict[str, Any], str], None]] = {
    "message": Turns.message,
    "agent_message": Turns.agent_message,
    "reasoning": Turns.reasoning,
    "function_call": Turns.function_call,
    "custom_tool_call": Turns.custom_tool_call,
    "function_call_output": Turns.output,
    "custom_tool_call_output": Turns.output,
    "item_reference": Turns.reference,
}


def _answered_call(item: Mapping[str, Any]) -> str:
    """The id of the call whose result this is, or an empty one."""
    call_id = item.get("call_id") if _ADDING.get(str(item.get("type"))) is Turns.output else None
    return call_id if isinstance(call_id, str) else ""


def _text_part(text: str) -> Part:
    return {"type": "text", "text": text}


def _reasoning(item: dict[str, Any]) -> str:
    """Its text; where there is none, what was sealed here; else its summary.

    Reasoning that was encrypted elsewhere says nothing to this model.
    """
    sealed = item.get("encrypted_content")
    ours = sealing.unsealed(sealed) if isinstance(sealed, str) else None
    return _texts(item.get("content")) or ours or _texts(item.get("summary"))


def _texts(value: Any) -> str:
    if isinstance(value, str):
        return value
    listed = value if isinstance(value, list) else []
    texts = [part.get("text") for part in listed if isinstance(part, dict)]
    return "\n".join(text for text in texts if isinstance(text, str))
