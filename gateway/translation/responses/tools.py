"""Responses tools, flat and of several kinds, as chat's functions, and the names back. Pure.

Tools that OpenAI would run, and kinds that are yet unknown, are left out beside others: the model
is not told of them, and neither is the client.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import InvalidRequest
from gateway.translation.responses import freeform, reading

NAMESPACE_SEPARATOR = "__"
NO_HOSTED_TOOLS = "Aurora and vLLM run no tools themselves"
_KINDS = ("function", "custom")
_ADDING = ("additional_tools", "tool_search_output")
"""Items whose `tools` are offered from there on. Some clients send all of theirs so."""
_PASSED = ("description", "parameters", "strict", "defer_loading")


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
class Described:
    """The tools of a call."""

    by_name: Mapping[str, Tool]
    """Flat name -> tool."""
    kept: Sequence[Any]
    """The call's `tools` without those that are left out."""
    left_out: tuple[str, str] | None
    """The place and the kind of the first that is left out, but for those nobody would miss."""


def flat_name(namespace: str | None, name: str) -> str:
    return f"{namespace}{NAMESPACE_SEPARATOR}{name}" if namespace else name


def read(tools: Any, items: Iterable[Any]) -> Described:
    """The call's `tools`, and those that its `items` add, decoded. Raises InvalidRequest."""
    given = _Reader()
    for index, value in enumerate([] if tools is None else reading.sequence(tools, "tools")):
        given.add(value, f"tools[{index}]")
    by_name = given.by_name
    for name, tool in _added(items).items():
        by_name[name] = _loaded(by_name.get(name, tool))
    return Described(by_name, given.kept, given.left_out)


def _added(items: Iterable[Any]) -> dict[str, Tool]:
    """The tools that `items` add; the last of a name counts, and what is none is left out."""
    added: dict[str, Tool] = {}
    for item in items:
        if not isinstance(item, dict) or item.get("type") not in _ADDING:
            continue
        listed = item.get("tools")
        for value in listed if isinstance(listed, list) else ():
            added |= _of_history(value)
    return added


def _of_history(value: Any) -> dict[str, Tool]:
    reader = _Reader()
    try:
        reader.add(value, "input")
    except InvalidRequest:  # an earlier turn's: it must not end the session
        return {}
    return reader.by_name


def _loaded(tool: Tool) -> Tool:
    """The tool as one that is loaded by now, whatever was deferred."""
    rest = {name: value for name, value in tool.function.items() if name != "defer_loading"}
    return Tool(tool.name, tool.namespace, tool.custom, rest)


class _Reader:
    """Tools as they are read, one after the other."""

    def __init__(self) -> None:
        self.by_name: dict[str, Tool] = {}
        self.kept: list[Any] = []
        self.left_out: tuple[str, str] | None = None

    def add(self, value: Any, param: str) -> None:
        tool = reading.mapping(value, param)
        if tool.get("type") == "namespace":
            self._add_namespace(tool, param)
        elif self._is_told(tool, param, None):
            self.kept.append(tool)

    def _add_namespace(self, tool: dict[str, Any], param: str) -> None:
        """Its functions. Its description has no place among them; vLLM's own route leaves it out too."""
        namespace = reading.text(tool.get("name"), f"{param}.name")
        told = []
        for index, value in enumerate(reading.sequence(tool.get("tools"), f"{param}.tools")):
            where = f"{param}.tools[{index}]"
            if self._is_told(reading.mapping(value, where), where, namespace):
                told.append(value)
        if told or not tool["tools"]:
            self.kept.append({**tool, "tools": told})

    def _is_told(self, tool: dict[str, Any], param: str, namespace: str | None) -> bool:
        if not _is_usable(tool):
            if self.left_out is None and not _is_moot(tool):
                self.left_out = f"{param}.type", reading.quoted(tool.get("type"))
            return False
        made = _single(tool, param, namespace)
        if self.by_name.setdefault(made.flat, made) != made:
            name = reading.cut(made.flat)
            reading.refuse(f"{param}.name", f"There are two tools with the name `{name}`.")
        return True


def _is_usable(tool: Mapping[str, Any]) -> bool:
    """Whether the model may call it, and its client runs it."""
    callers = tool.get("allowed_callers")
    return tool.get("type") in _KINDS and (not isinstance(callers, list) or "direct" in callers)


def _is_moot(tool: Mapping[str, Any]) -> bool:
    """Whether nobody would miss `tool`: a web search that may not reach the web finds nothing here.

    Codex offers one with every call.
    """
    kind, access = str(tool.get("type")), tool.get("external_web_access")
    return kind.startswith("web_search") and access is False


def _single(tool: dict[str, Any], param: str, namespace: str | None) -> Tool:
    name = reading.text(tool.get("name"), f"{param}.name")
    custom = tool["type"] == "custom"
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
    form = {} if value is None else reading.mapping(value, param)
    if form.get("type") != "grammar":
        return ""
    definition = reading.text(form.get("definition"), f"{param}.definition")
    syntax = reading.text(form.get("syntax"), f"{param}.syntax")
    return f"The input must follow this grammar ({syntax}):\n{definition}"
