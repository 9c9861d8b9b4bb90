"""What of a create call concerns Aurora: the state it begins, and the state it goes on from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.errors import UnknownItem
from gateway.translation import Stamp
from gateway.translation.chat import UNREADABLE
from gateway.translation.raw import NULL, begins, is_null, is_text
from gateway.translation.responses import native, reading
from gateway.translation.responses.items import kind_of

_PREFIXES = {
    "message": "msg", "reasoning": "rs", "function_call": "fc", "function_call_output": "fco",
    "custom_tool_call": "ctc", "custom_tool_call_output": "ctco",
}  # fmt: skip
_WITH_STATUS = _PREFIXES.keys() - {"reasoning"}
"""Kinds that say how far they have come: one that is kept always does."""
_OURS = frozenset({"previous_response_id", "conversation", "background"})
MOST_ITEMS = 10_000
"""Of one call's own: a conversation that is longer could not be gone on with."""
MOST_REFERENCES = 1000
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(frozen=True, slots=True)
class Ask:
    """What of `POST /v1/responses` concerns Aurora."""

    stream: bool
    store: bool
    background: bool
    previous_response_id: str | None
    conversation: str | None
    items: tuple[bytes, ...] = field(repr=False)
    """The call's own input as JSON objects, each with an `id` and a `type`."""
    references: frozenset[str]
    """The ids of the item_reference items among them."""

    def resolved(self, referenced: Mapping[str, bytes]) -> tuple[bytes, ...]:
        """The items to keep: each reference replaced by what it refers to, or left out."""
        found = (
            item if (id := _reference(item)) is None else referenced.get(id) for item in self.items
        )
        return tuple(item for item in found if item is not None)


def read(members: Mapping[str, msgspec.Raw], stamp: Stamp) -> Ask:
    """Raises InvalidRequest."""
    value = {name: _value(members, name) for name in ("stream", "store", *_OURS)}
    store = reading.flag(value["store"], "store", True)
    background = reading.flag(value["background"], "background", False)
    previous = reading.optional_text(value["previous_response_id"], "previous_response_id")
    conversation = _conversation(value["conversation"])
    if previous is not None and conversation is not None:
        reading.refuse(
            "previous_response_id",
            "`previous_response_id` and `conversation` cannot be used together.",
        )
    if background and not store:
        reading.refuse("background", "`background` needs `store`: the answer is fetched later.")
    goes_on = previous is not None or conversation is not None
    items = _own_items(members, stamp, may_be_missing=goes_on)
    return Ask(
        stream=reading.flag(value["stream"], "stream", False),
        store=store,
        background=background,
        previous_response_id=previous,
        conversation=conversation,
        items=items,
        references=_references(items),
    )


def _references(items: Sequence[bytes]) -> frozenset[str]:
    found = [id for item in items if (id := _reference(item)) is not None]
    if len(found) > MOST_REFERENCES:
        reading.refuse("input", f"`input` may hold {MOST_REFERENCES} items of `item_reference`.")
    return frozenset(found)


def expanded(
    members: Mapping[str, msgspec.Raw],
    ask: Ask,
    context: Sequence[bytes],
    referenced: Mapping[str, bytes],
) -> dict[str, msgspec.Raw]:
    """The members to send, on any route: `input` is the context and the call's own items.

    Without state to go on from, `input` is as it came, unless a server would misread an item.
    Raises UnknownItem for a reference that is not among `referenced`.
    """
    sent = {name: raw for name, raw in members.items() if name not in _OURS}
    own = _sent_items(members, ask)
    found = [_found(item, index, referenced) for index, item in enumerate(own)]
    whole = [native.readable(item) for item in (*context, *found)]
    if context or whole != own:
        sent["input"] = msgspec.Raw(b"[%b]" % b",".join(whole))
    return sent


def _value(members: Mapping[str, msgspec.Raw], name: str) -> Any:
    raw = members.get(name)
    return None if raw is None else reading.decoded(raw, name)


def _conversation(value: Any) -> str | None:
    """A conversation is named by its id, bare or in an object."""
    if isinstance(value, dict):
        return reading.text(value.get("id"), "conversation.id")
    return reading.optional_text(value, "conversation")


def _own_items(
    members: Mapping[str, msgspec.Raw], stamp: Stamp, *, may_be_missing: bool
) -> tuple[bytes, ...]:
    given = members.get("input", NULL)
    if is_null(given) and may_be_missing:
        return ()
    if is_text(given):
        message = {"type": "message", "role": "user", "content": reading.decoded(given, "input")}
        return (own_item(message, "input[0]", stamp),)
    if not begins(given, b"["):
        reading.refuse("input", "`input` must be a string or a list of items.")
    return tuple(_Listed(stamp).read(given))


class _Item:
    """What stands in a list of items, to msgspec."""


class _Listed:
    """The items of `input`, each taken as soon as it is decoded: the first that cannot be taken
    ends the decoding, and so does one too many."""

    def __init__(self, stamp: Stamp) -> None:
        self._stamp = stamp
        self._kept: list[bytes] = []
        self._item = _Item()

    def read(self, given: msgspec.Raw) -> list[bytes]:
        """As they are to be kept. Raises InvalidRequest."""
        try:
            msgspec.json.decode(given, type=list[_Item], dec_hook=self._take)
        except UNREADABLE:
            reading.refuse("input", "`input` is not valid JSON.")
        return self._kept

    def _take(self, _: type, value: Any) -> _Item:
        if len(self._kept) >= MOST_ITEMS:
            reading.refuse("input", f"`input` may hold {MOST_ITEMS} items.")
        param = f"input[{len(self._kept)}]"
        self._kept.append(own_item(reading.mapping(value, param), param, self._stamp))
        return self._item


def own_item(item: dict[str, Any], param: str, stamp: Stamp) -> bytes:
    """An input item as it is kept. Raises InvalidRequest, which names it by `param`."""
    kind = kind_of(item)
    if not isinstance(kind, str):
        reading.refuse(f"{param}.type", f"`{param}.type` must say what kind of item this is.")
    id = reading.optional_text(item.get("id"), f"{param}.id")
    if kind == "item_reference" and not id:
        reading.refuse(f"{param}.id", "An item_reference must name an item by its `id`.")
    made = id or stamp.new_id(_PREFIXES.get(kind, "item"))
    kept = {**item, **_in_parts(item, kind), "id": made, "type": kind}
    if kind in _WITH_STATUS and kept.get("status") is None:
        kept["status"] = "completed"
    return reading.encoded(kept, param)


def _in_parts(item: dict[str, Any], kind: str) -> dict[str, Any]:
    """A message's text as the list of parts that a kept item has."""
    text = item.get("content")
    if kind != "message" or not isinstance(text, str):
        return {}
    if item.get("role") != "assistant":
        return {"content": [{"type": "input_text", "text": text}]}
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"status": "completed", "content": [part]}


class _Kind(msgspec.Struct):
    id: Any = None
    type: Any = None


_KINDS = msgspec.json.Decoder(_Kind)


def _reference(item: bytes) -> str | None:
    kind = _KINDS.decode(item)
    return kind.id if kind.type == "item_reference" else None


def _sent_items(members: Mapping[str, msgspec.Raw], ask: Ask) -> list[bytes]:
    """The call's own items as they came; what was no list, as `read` made it one."""
    raw = members.get("input")
    try:
        return [bytes(item) for item in _RAW_LIST.decode(raw or b"[]")]
    except msgspec.ValidationError:
        return list(ask.items)


def _found(item: bytes, index: int, referenced: Mapping[str, bytes]) -> bytes:
    value = msgspec.json.decode(item)
    if kind_of(value) != "item_reference":
        return item
    found = referenced.get(value["id"])
    if found is None:
        raise UnknownItem(
            f"There is no item {reading.quoted(value['id'])}.", param=f"input[{index}].id"
        )
    return found
