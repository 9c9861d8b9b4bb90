"""Input items that no chat message can hold, told as a line of text. Pure.

They come from other servers and other models: hosted tools, tools with a type of their own, types
that are yet unknown. A client sends them back with every call, so none may end its session.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.translation.responses import reading, sealing

HIDDEN = "(not visible to you)"
"""Stands for pictures, ciphertexts and the like."""
COMPACTED = "[Earlier turns were compacted into a form that you cannot read.]"
LEFT_OUT = frozenset(
    {"additional_tools", "compaction_trigger", "configuration_update", "mcp_approval_request",
     "mcp_approval_response", "mcp_list_tools"}
)  # fmt: skip
"""Items that say nothing to a model. The tools of `additional_tools` are offered by `tools`."""
COMPACTIONS = frozenset({"compaction", "compaction_summary", "context_compaction"})
MOST_DEPTH = 10
"""Of what is told. Anything deeper is hidden."""

_CALL, _OUTPUT = "_call", "_output"
_ASIDE = frozenset(
    {"acknowledged_safety_checks", "approval_request_id", "call_id", "caller", "container_id",
     "created_by", "encrypted_content", "execution", "fingerprint", "id",
     "internal_chat_message_metadata_passthrough", "max_output_length", "metadata",
     "pending_safety_checks", "role", "status", "tools", "type"}
)  # fmt: skip
"""Members for clients and servers. What a model needs of `tools` is in the tools it is offered."""


def told(kind: str, item: Mapping[str, Any]) -> str | None:
    """What the model is told of an item of this `kind`, or None: nothing."""
    if kind in COMPACTIONS:
        return words(item.get("encrypted_content") or "", COMPACTED)
    said = _members(item)
    if not said or kind in LEFT_OUT:
        return None
    if kind.endswith(_CALL):
        return f"[The tool {_name(kind, _CALL)} was called: {said}]"
    if kind.endswith(_OUTPUT):
        return result(said, _name(kind, _OUTPUT))
    return f"[{reading.cut(kind)}: {said}]"


def result(said: str, name: str = "the tool") -> str:
    return f"[Result of {name}: {said}]"


def words(value: Any, hidden: str = HIDDEN) -> str:
    """The text in `value`: in a string, in parts, else in its JSON. `hidden` stands for a ciphertext."""
    if isinstance(value, str):
        return hidden if sealing.is_opaque(value) else value
    if isinstance(value, list) and value and all(map(_is_part, value)):
        return "\n".join(_part(part) for part in value)
    return reading.encoded(_visible(value, MOST_DEPTH), "input").decode()


def _is_part(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("type"), str)


def _part(part: Mapping[str, Any]) -> str:
    for name in ("text", "refusal", "encrypted_content"):
        if isinstance(part.get(name), str):
            return words(part[name])
    return words(_without_aside(part))


def _members(item: Mapping[str, Any]) -> str:
    rest = _without_aside(item)
    return words(next(iter(rest.values())) if len(rest) == 1 else rest) if rest else ""


def _without_aside(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _ASIDE and value}


def _visible(value: Any, depth: int) -> Any:
    """`value` without what no model can read."""
    if isinstance(value, str):
        return HIDDEN if sealing.is_opaque(value) else value
    if not isinstance(value, (dict, list)):
        return value
    if not depth:
        return HIDDEN
    if isinstance(value, list):
        return [_visible(inner, depth - 1) for inner in value]
    return {name: _visible(inner, depth - 1) for name, inner in value.items()}


def _name(kind: str, ending: str) -> str:
    name = reading.cut(kind.removesuffix(ending).removesuffix(_CALL))
    return f"`{name}`" if name else "without a name"
