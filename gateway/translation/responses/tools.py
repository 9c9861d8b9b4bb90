"""Responses tools, flat and of several kinds, as chat's functions, and the names back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.translation.responses import freeform, reading

NAMESPACE_SEPARATOR = "__"
_PASSED = ("description", "parameters", "strict", "defer_loading")
_CUSTOM = ("type", "name", "description", "format", "defer_loading")
_OF_NAMESPACE = ("type", "name", "description", "tools")
_DESCRIBING = frozenset({"type", "name", "output_schema", *_PASSED})
_HARMLESS: Mapping[str, Any] = {"async": False, "allowed_callers": ["direct"]}
_NO_HOSTED_TOOLS = "Aurora and vLLM run no tools themselves"
_UNTOLD = "chat completions have no word for it"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool as its client calls it, and its description for the model."""

    name: str
    namespace: str | None
    custom: bool
    function: Mapping[str, Any] = field(repr=False)

    @property
    def flat(self) -> str:
        """Its name as the model is told it."""
        return flat_name(self.namespace, self.name)

    @property
    def described(self) -> dict[str, Any]:
        return {"type": "function", "function": {"name": self.flat, **self.function}}


@dataclass(frozen=True, slots=True)
class Tools:
    offered: tuple[Tool, ...]
    """What the model may choose from."""
    choice: Any
    """Chat's `tool_choice`, or None: it says nothing."""
    by_name: Mapping[str, Tool]
    """Flat name -> tool, of all that the call describes."""

    def members(self) -> dict[str, Any]:
        members: dict[str, Any] = {}
        if self.offered:
            members["tools"] = [tool.described for tool in self.offered]
        if self.choice is not None:
            members["tool_choice"] = self.choice
        return members

    def called(self, flat: str) -> Tool:
        return self.by_name.get(flat) or Tool(flat, None, False, {})


def flat_name(namespace: str | None, name: str) -> str:
    return f"{namespace}{NAMESPACE_SEPARATOR}{name}" if namespace else name


def read(tools: Any, choice: Any) -> Tools:
    """The call's `tools` and `tool_choice`, decoded. Raises InvalidRequest."""
    described: dict[str, Tool] = {}
    listed = [] if tools is None else reading.sequence(tools, "tools")
    for index, value in enumerate(listed):
        if is_moot(value):
            continue
        for tool in _read_tool(value, f"tools[{index}]"):
            if tool.flat in described:
                reading.refuse(
                    f"tools[{index}].name", f"The tool `{reading.cut(tool.flat)}` is there twice."
                )
            described[tool.flat] = tool
    return _chosen(choice, described)


def is_moot(tool: Any) -> bool:
    """Whether the model need not be told of `tool`: a web search that may not reach the web finds
    nothing here. Codex offers one with every call."""
    return (
        isinstance(tool, dict)
        and str(tool.get("type")).startswith("web_search")
        and tool.get("external_web_access") is False
    )


def _read_tool(value: Any, param: str) -> list[Tool]:
    tool = reading.mapping(value, param)
    kind = tool.get("type")
    if kind == "namespace":
        return _read_namespace(tool, param)
    return [_read_single(tool, param, None)]


def _read_namespace(tool: dict[str, Any], param: str) -> list[Tool]:
    """Its functions. Its description has no place among them; vLLM's own route leaves it out too."""
    reading.only(tool, param, _OF_NAMESPACE, _UNTOLD)
    namespace = reading.text(tool.get("name"), f"{param}.name")
    inner = reading.sequence(tool.get("tools"), f"{param}.tools")
    return [
        _read_single(
            reading.mapping(value, f"{param}.tools[{index}]"), f"{param}.tools[{index}]", namespace
        )
        for index, value in enumerate(inner)
    ]


def _read_single(tool: dict[str, Any], param: str, namespace: str | None) -> Tool:
    kind = tool.get("type")
    if kind not in ("function", "custom"):
        reading.refuse(
            f"{param}.type",
            f"Tools of the type {reading.quoted(kind)} cannot be used with this model: {_NO_HOSTED_TOOLS}, so"
            " only `function`, `custom` and `namespace` tools can. Leave it out.",
        )
    name = reading.text(tool.get("name"), f"{param}.name")
    custom = kind == "custom"
    known = _CUSTOM if custom else _DESCRIBING
    rest = {key: value for key, value in tool.items() if _HARMLESS.get(key) != value}
    reading.only(rest, param, known, _UNTOLD)
    function = _custom_function(tool, param) if custom else _function(tool)
    return Tool(name, namespace, custom, function)


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    return {key: tool[key] for key in _PASSED if tool.get(key) is not None}


def _custom_function(tool: dict[str, Any], param: str) -> dict[str, Any]:
    """A function with one string. The model is told of a grammar; nothing holds it to one."""
    description = reading.optional_text(tool.get("description"), f"{param}.description") or ""
    grammar = _grammar(tool.get("format"), f"{param}.format")
    told = "\n\n".join(filter(None, [description, grammar]))
    function: dict[str, Any] = {"parameters": freeform.PARAMETERS}
    return {"description": told, **function} if told else function


def _grammar(value: Any, param: str) -> str:
    if value is None:
        return ""
    form = reading.mapping(value, param)
    kind = reading.one_of(form.get("type"), f"{param}.type", ("text", "grammar"), _UNTOLD)
    if kind == "text":
        return ""
    definition = reading.text(form.get("definition"), f"{param}.definition")
    syntax = reading.text(form.get("syntax"), f"{param}.syntax")
    return f"The input must follow this grammar ({syntax}):\n{definition}"


def _chosen(choice: Any, described: Mapping[str, Tool]) -> Tools:
    every = tuple(described.values())
    if isinstance(choice, dict):
        return _chosen_by_name(choice, described)
    if choice is not None:
        reading.one_of(choice, "tool_choice", ("none", "auto", "required"), _UNTOLD)
    if choice == "required" and not every:
        reading.refuse("tool_choice", "`tool_choice` is `required`, but there are no tools.")
    return Tools(every, choice if every else None, described)


def _chosen_by_name(choice: dict[str, Any], described: Mapping[str, Tool]) -> Tools:
    kind = choice.get("type")
    if kind == "allowed_tools":
        return _allowed(choice, described)
    if kind not in ("function", "custom"):
        reading.refuse(
            "tool_choice.type",
            f"`tool_choice` cannot be {reading.quoted(kind)}: {_NO_HOSTED_TOOLS}.",
        )
    tool = _named(choice, "tool_choice", described)
    chosen = {"type": "function", "function": {"name": tool.flat}}
    return Tools(tuple(described.values()), chosen, described)


def _allowed(choice: dict[str, Any], described: Mapping[str, Tool]) -> Tools:
    """The model is only told of the tools it may use."""
    mode = reading.one_of(choice.get("mode"), "tool_choice.mode", ("auto", "required"), _UNTOLD)
    listed = reading.sequence(choice.get("tools"), "tool_choice.tools")
    allowed = {
        _named(reading.mapping(value, f"tool_choice.tools[{index}]"),
               f"tool_choice.tools[{index}]", described).flat
        for index, value in enumerate(listed)
    }  # fmt: skip
    offered = tuple(tool for tool in described.values() if tool.flat in allowed)
    if mode == "required" and not offered:
        reading.refuse("tool_choice.tools", "A tool is required, but none is allowed.")
    return Tools(offered, mode if offered else None, described)


def _named(value: dict[str, Any], param: str, described: Mapping[str, Tool]) -> Tool:
    """The tool of that name, which need not say its namespace where only one has it."""
    name = reading.text(value.get("name"), f"{param}.name")
    namespace = reading.optional_text(value.get("namespace"), f"{param}.namespace")
    exact = described.get(flat_name(namespace, name))
    if exact is not None:
        return exact
    alike = [tool for tool in described.values() if namespace is None and tool.name == name]
    if len(alike) != 1:
        why = "several namespaces have it" if alike else "`tools` does not describe it"
        reading.refuse(f"{param}.name", f"The tool `{reading.cut(name)}` cannot be chosen: {why}.")
    return alike[0]
