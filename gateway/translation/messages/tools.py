"""Anthropic's tools as functions, and which of them the model may or must call."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from gateway.translation import raw
from gateway.translation.raw import Json


class Tool(Struct):
    """A tool of the client's own. Those that Anthropic runs or defines are other types."""

    name: str
    input_schema: dict[str, Raw]
    type: Literal["custom"] | None = None
    description: Raw = raw.NULL
    strict: Raw = raw.NULL
    defer_loading: bool | None = None


class Choice(Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Typed(Struct):
    type: str | None = None


_TYPES = msgspec.json.Decoder(list[_Typed])
_TOOLS = msgspec.json.Decoder(list[Tool])
_CHOICE = msgspec.json.Decoder(Choice)


def read(members: Mapping[str, Json], loaded: Set[str]) -> list[bytes]:
    """The functions of a chat call. Raises InvalidRequest.

    A tool with `defer_loading` is left out until a result in the conversation refers to it
    (`loaded`) or the client demands it: that is what deferring means to Anthropic's clients, and
    so it costs no room in the prompt on a server that knows nothing of it.
    """
    if "tools" not in members:
        return []
    typed = raw.read(_TYPES, members["tools"], "tools")
    for i, tool in enumerate(typed):
        if tool.type not in (None, "custom"):
            why = f"is {tool.type[:80]!r}: a vLLM server has tools of the client's own only."
            raise raw.invalid(f"tools[{i}].type", why)
    choice = _choice(members)
    wanted = {*loaded, choice.name if choice else None}
    tools = raw.read(_TOOLS, members["tools"], "tools")
    return [_function(tool) for tool in tools if not tool.defer_loading or tool.name in wanted]


def _function(tool: Tool) -> bytes:
    function: dict[str, Json] = {"name": raw.text(tool.name)}
    if not raw.is_null(tool.description):
        function["description"] = tool.description
    schema = (
        tool.input_schema
        if "type" in tool.input_schema
        else {"type": b'"object"', **tool.input_schema}
    )
    function["parameters"] = raw.object_of(schema)
    if not raw.is_null(tool.strict):
        function["strict"] = tool.strict
    return raw.object_of({"type": b'"function"', "function": raw.object_of(function)})


def _choice(members: Mapping[str, Json]) -> Choice | None:
    if "tool_choice" not in members:
        return None
    choice = raw.read(_CHOICE, members["tool_choice"], "tool_choice")
    if choice.type == "tool" and not choice.name:
        raise raw.invalid("tool_choice.name", "must be given where `type` is 'tool'.")
    return choice


def choice_members(members: Mapping[str, Json], tools: list[bytes]) -> dict[str, Json]:
    """What of a chat call says which tools to call. Raises InvalidRequest."""
    choice = _choice(members)
    if choice is None:
        return {}
    if not tools:
        if choice.type in ("any", "tool"):
            raise raw.invalid("tool_choice", "demands a tool, but there is none in `tools`.")
        return {}
    made: dict[str, Json] = {"tool_choice": _chosen(choice)}
    if choice.disable_parallel_tool_use:
        made["parallel_tool_calls"] = b"false"
    return made


def _chosen(choice: Choice) -> Json:
    if choice.type == "tool":
        function = raw.object_of({"name": raw.text(choice.name or "")})
        return raw.object_of({"type": b'"function"', "function": function})
    return raw.text("required" if choice.type == "any" else choice.type)
