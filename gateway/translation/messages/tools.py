"""Anthropic's tools as functions, and which of them the model may or must call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from gateway.translation import raw
from gateway.translation.messages import client_tools
from gateway.translation.messages.tool_changes import ToolChanges
from gateway.translation.raw import Json

MOST_NAME_CHARACTERS = 80
_SEARCHES = "tool_search_"
"""How the types of the tools begin that search for deferred tools on Anthropic's servers."""


class Tool(Struct):
    """A tool that the client runs. Its members `cache_control`, `input_examples`,
    `allowed_callers` and `eager_input_streaming` are not read."""

    name: str
    input_schema: dict[str, Raw]
    description: Raw = raw.NULL
    strict: Raw = raw.NULL


class Choice(Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class _Typed(Struct):
    type: str | None = None
    name: str | None = None
    input_schema: Raw = raw.NULL
    defer_loading: bool | None = None

    @property
    def is_custom(self) -> bool:
        return self.type in (None, "custom") or not raw.is_null(self.input_schema)


@dataclass(frozen=True, slots=True)
class Tools:
    functions: list[bytes]
    served: dict[str, str]
    """The names of the tools that need Anthropic's servers, with the places of their types: these
    tools are left out."""
    has_own: bool
    """Whether the client runs one, also if it is not loaded yet."""


_VALUES = msgspec.json.Decoder(list[Raw])
_TYPED = msgspec.json.Decoder(_Typed)
_TOOL = msgspec.json.Decoder(Tool)
_OPTIONS = msgspec.json.Decoder(dict[str, Any])
_CHOICE = msgspec.json.Decoder(Choice)


def read(members: Mapping[str, Json], changes: ToolChanges) -> Tools:
    """The functions of a chat call. Raises InvalidRequest.

    A tool with `defer_loading` is left out until the conversation loads it or the client demands
    it: that is what deferring means to Anthropic's clients, and so it costs no room in the prompt.
    Where a search on Anthropic's servers was to load it, nothing else would: then it is there from
    the beginning.
    """
    entries = list(_entries(members, changes))
    choice = _choice(members)
    searched = any((typed.type or "").startswith(_SEARCHES) for typed, _, _ in entries)
    wanted = {*changes.loaded, choice.name if choice else None}
    functions, served = [], {}
    for typed, entry, where in entries:
        function = _function(typed, entry, where)
        if function is None:
            served[typed.name or typed.type or ""] = f"{where}.type"
        elif not typed.defer_loading or searched or typed.name in wanted:
            functions.append(function)
    return Tools(functions, served, has_own=len(served) < len(entries))


def _entries(
    members: Mapping[str, Json], changes: ToolChanges
) -> Iterator[tuple[_Typed, Json, str]]:
    """Each tool that is not taken away, its entry and where that stands."""
    given = raw.read(_VALUES, members["tools"], "tools") if "tools" in members else []
    placed = [(entry, f"tools[{i}]") for i, entry in enumerate(given)]
    placed += [(entry, f"messages: tool {name!r}") for name, entry in changes.defined.items()]
    for entry, where in placed:
        typed = raw.read(_TYPED, entry, where)
        if typed.name is None or typed.name not in changes.removed:
            yield typed, entry, where


def _function(typed: _Typed, entry: Json, where: str) -> bytes | None:
    """None of a tool that needs Anthropic's servers."""
    if typed.is_custom:
        return _own(raw.read(_TOOL, entry, where))
    known = client_tools.find(typed.type or "", raw.read(_OPTIONS, entry, where))
    return None if known is None else _known(known, typed.name or known.name)


def _known(tool: client_tools.ClientTool, name: str) -> bytes:
    described = {"name": name, "description": tool.description, "parameters": tool.parameters}
    return msgspec.json.encode({"type": "function", "function": described})


def _own(tool: Tool) -> bytes:
    function: dict[str, Json] = {"name": raw.text(tool.name)}
    if not raw.is_null(tool.description):
        function["description"] = tool.description
    schema = (
        tool.input_schema
        if "type" in tool.input_schema
        else {"type": b'"object"', **tool.input_schema}
    )
    function["parameters"] = raw.object_of(schema)
    if bytes(memoryview(tool.strict)) in (b"true", b"false"):
        function["strict"] = tool.strict
    return raw.object_of({"type": b'"function"', "function": raw.object_of(function)})


def _choice(members: Mapping[str, Json]) -> Choice | None:
    if "tool_choice" not in members:
        return None
    choice = raw.read(_CHOICE, members["tool_choice"], "tool_choice")
    if choice.type == "tool" and not choice.name:
        raise raw.invalid("tool_choice.name", "must be given where `type` is 'tool'.")
    return choice


def chat_members(members: Mapping[str, Json], tools: Tools) -> dict[str, Json]:
    """What of a chat call says which tools there are and which to call. Raises InvalidRequest."""
    choice = _choice(members)
    _check(choice, tools)
    if not tools.functions:
        return {}
    made: dict[str, Json] = {"tools": raw.array_of(tools.functions)}
    if choice is not None:
        made["tool_choice"] = _chosen(choice)
        if choice.disable_parallel_tool_use:
            made["parallel_tool_calls"] = b"false"
    return made


def _check(choice: Choice | None, tools: Tools) -> None:
    """That the client gets what it chose."""
    kind = choice.type if choice else "auto"
    if choice and choice.type == "tool" and choice.name in tools.served:
        why = f"is {choice.name[:MOST_NAME_CHARACTERS]!r}: this tool needs Anthropic's servers."
        raise raw.invalid("tool_choice.name", why)
    if tools.functions or kind == "none":
        return
    if tools.served and not tools.has_own:
        names = ", ".join(tools.served)[:MOST_NAME_CHARACTERS]
        why = f"is of a tool that needs Anthropic's servers, as all are ({names}): add another."
        raise raw.invalid(next(iter(tools.served.values())), why)
    if kind in ("any", "tool"):
        raise raw.invalid("tool_choice", "demands a tool, but there is none in `tools`.")


def _chosen(choice: Choice) -> Json:
    if choice.type == "tool":
        function = raw.object_of({"name": raw.text(choice.name or "")})
        return raw.object_of({"type": b'"function"', "function": function})
    return raw.text("required" if choice.type == "any" else choice.type)
