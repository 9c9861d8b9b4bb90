"""Items that are put into a conversation by themselves. Pure.

No server sees them before they are kept, and one that none can read would spoil the conversation:
so what a kind cannot do without is checked here. Other kinds, known or not, are taken as they are:
a server that cannot use them is told of them in words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.state.values import MOST_ID_CHARACTERS, is_id
from gateway.translation import Stamp
from gateway.translation.responses import reading
from gateway.translation.responses.ask import own_item
from gateway.translation.responses.items import kind_of

MOST_ITEMS = 20
_ROLES = ("user", "assistant", "system", "developer", "tool", "critic", "discriminator", "unknown")
_REFERENCE = "item_reference"


def kept(given: Any, stamp: Stamp) -> list[bytes]:
    """The items of `items` as they are to be kept. Raises InvalidRequest."""
    listed = [] if given is None else reading.sequence(given, "items")
    if len(listed) > MOST_ITEMS:
        reading.refuse("items", f"`items` may hold {MOST_ITEMS} items at a time.")
    return [_kept(value, f"items[{at}]", stamp) for at, value in enumerate(listed)]


def references(given: Any) -> dict[int, str]:
    """The ids of those of `items`, by place, that stand for an item kept before."""
    listed: Sequence[dict[str, Any]] = given or ()
    return {at: item["id"] for at, item in enumerate(listed) if kind_of(item) == _REFERENCE}


def _kept(value: Any, param: str, stamp: Stamp) -> bytes:
    item = reading.mapping(value, param)
    kind = kind_of(item)
    if not isinstance(kind, str):
        reading.refuse(f"{param}.type", f"`{param}.type` must be the type of an item.")
    if kind in _CHECKS:
        _CHECKS[kind](item, param)
    _check_id(item.get("id"), f"{param}.id")
    return own_item(item, param, stamp)


def _check_id(value: Any, param: str) -> None:
    id = reading.optional_text(value, param)
    if id and ("/" in id or not is_id(id)):
        reading.refuse(
            param,
            f"`{param}` must be {MOST_ID_CHARACTERS} printable characters at most, without `/`.",
        )


def _message(item: dict[str, Any], param: str) -> None:
    reading.one_of(item.get("role"), f"{param}.role", _ROLES, "there is no other")
    _text_or_parts(item, param, "content")


def _reasoning(item: dict[str, Any], param: str) -> None:
    _parts(item.get("summary") or [], f"{param}.summary")
    _parts(item.get("content") or [], f"{param}.content")


def _output(item: dict[str, Any], param: str) -> None:
    reading.text(item.get("call_id"), f"{param}.call_id")
    _text_or_parts(item, param, "output")


def _texts(*names: str) -> Callable[[dict[str, Any], str], None]:
    def check(item: dict[str, Any], param: str) -> None:
        for name in names:
            reading.text(item.get(name), f"{param}.{name}")

    return check


_CHECKS: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "message": _message,
    "reasoning": _reasoning,
    "function_call": _texts("call_id", "name", "arguments"),
    "custom_tool_call": _texts("call_id", "name", "input"),
    "function_call_output": _output,
    "custom_tool_call_output": _output,
}


def _text_or_parts(item: dict[str, Any], param: str, name: str) -> None:
    if not isinstance(item.get(name), str):
        _parts(item.get(name), f"{param}.{name}")


def _parts(value: Any, param: str) -> None:
    if not isinstance(value, list):
        reading.refuse(param, f"`{param}` must be a list of parts.")
    for at, part in enumerate(value):
        kind = reading.mapping(part, f"{param}[{at}]").get("type")
        reading.text(kind, f"{param}[{at}].type")
