"""Input items -> chat messages: what one turn of the assistant said becomes one message. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.translation.responses import freeform, parts, reading, sealing
from gateway.translation.responses.tools import flat_name

_ROLES = {"user": "user", "system": "system", "developer": "system", "assistant": "assistant"}
_UNFINISHED = ("in_progress", "incomplete")

Message = dict[str, Any]


def messages(
    instructions: str | None, items: Sequence[Any], where: Callable[[int], str]
) -> list[Message]:
    """The conversation. `where(3)` names the fourth item in a refusal. Raises InvalidRequest."""
    turns = Turns()
    if instructions:
        turns.said.append({"role": "system", "content": instructions})
    for index, value in enumerate(items):
        param = where(index)
        turns.add(reading.mapping(value, param), param)
    return _with_one_system_message(turns.said)


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

    def __init__(self) -> None:
        self.said: list[Message] = []

    def add(self, item: dict[str, Any], param: str) -> None:
        kind = kind_of(item)
        add = _ADDING.get(kind) if isinstance(kind, str) else None
        if add is None:
            reading.refuse(
                f"{param}.type",
                f"An input item of the type {reading.quoted(kind)} cannot be sent to this model's server, which"
                " knows chat completions only.",
            )
        add(self, item, param)

    def message(self, item: dict[str, Any], param: str) -> None:
        given = reading.one_of(item.get("role"), f"{param}.role", _ROLES, "there is no other")
        role = _ROLES[given]
        if role == "assistant":
            self._speak(parts.spoken(item.get("content"), f"{param}.content"))
        else:
            said = parts.content(item.get("content"), f"{param}.content")
            self.said.append({"role": role, "content": said})

    def reasoning(self, item: dict[str, Any], param: str) -> None:
        reasoning = _reasoning(item, param)
        if reasoning:
            self.said.append({"role": "assistant", "reasoning": reasoning})

    def function_call(self, item: dict[str, Any], param: str) -> None:
        self._call(item, param, reading.text(item.get("arguments"), f"{param}.arguments"))

    def custom_tool_call(self, item: dict[str, Any], param: str) -> None:
        text = reading.text(item.get("input"), f"{param}.input")
        self._call(item, param, freeform.as_arguments(text))

    def output(self, item: dict[str, Any], param: str) -> None:
        call_id = reading.text(item.get("call_id"), f"{param}.call_id")
        said = parts.content(item.get("output"), f"{param}.output")
        self.said.append({"role": "tool", "tool_call_id": call_id, "content": said})

    def reference(self, item: dict[str, Any], param: str) -> None:
        reading.refuse(f"{param}.id", f"There is no item {reading.quoted(item.get('id'))}.")

    def _speak(self, text: str) -> None:
        last = self._of_the_assistant()
        if last is None or "content" in last:
            self.said.append({"role": "assistant", "content": text})
        else:
            last["content"] = text

    def _call(self, item: dict[str, Any], param: str, arguments: str) -> None:
        name = reading.text(item.get("name"), f"{param}.name")
        namespace = reading.optional_text(item.get("namespace"), f"{param}.namespace")
        call = {
            "id": reading.text(item.get("call_id"), f"{param}.call_id"),
            "type": "function",
            "function": {"name": flat_name(namespace, name), "arguments": arguments},
        }
        last = self._of_the_assistant()
        if last is None:
            self.said.append({"role": "assistant", "tool_calls": [call]})
        else:
            last.setdefault("tool_calls", []).append(call)

    def _of_the_assistant(self) -> Message | None:
        last = self.said[-1] if self.said else None
        return last if last is not None and last["role"] == "assistant" else None


_ADDING: Mapping[str, Callable[[Turns, dict[str, Any], str], None]] = {
    "message": Turns.message,
    "reasoning": Turns.reasoning,
    "function_call": Turns.function_call,
    "custom_tool_call": Turns.custom_tool_call,
    "function_call_output": Turns.output,
    "custom_tool_call_output": Turns.output,
    "item_reference": Turns.reference,
}


def _reasoning(item: dict[str, Any], param: str) -> str:
    """Its text; where there is none, what was sealed here; else its summary."""
    content = _texts(item.get("content"), f"{param}.content")
    if content:
        return content
    foreign = reading.optional_text(item.get("encrypted_content"), f"{param}.encrypted_content")
    ours = sealing.unsealed(foreign) if foreign else None
    reasoning = ours or _texts(item.get("summary"), f"{param}.summary")
    if foreign and ours is None and not reasoning:
        reading.refuse(
            f"{param}.encrypted_content",
            "This reasoning was encrypted elsewhere: it cannot be read here. Leave the item out.",
        )
    return reasoning


def _texts(value: Any, param: str) -> str:
    listed = [] if value is None else reading.sequence(value, param)
    return "\n".join(
        reading.text(reading.mapping(part, f"{param}[{at}]").get("text"), f"{param}[{at}].text")
        for at, part in enumerate(listed)
    )


def _with_one_system_message(said: list[Message]) -> list[Message]:
    """Many chat templates refuse a second system message: those that lead become one."""
    leading: list[str] = []
    for message in said:
        text = _plain(message["content"]) if message["role"] == "system" else None
        if text is None:
            break
        leading.append(text)
    if len(leading) < 2:
        return said
    return [{"role": "system", "content": "\n\n".join(leading)}, *said[len(leading) :]]


def _plain(content: str | list[dict[str, Any]]) -> str | None:
    if isinstance(content, str):
        return content
    if any(part["type"] != "text" for part in content):
        return None
    return "\n".join(part["text"] for part in content)
