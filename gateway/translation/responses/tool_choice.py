"""Which of its tools the model may or must call: Responses' `tool_choice` as chat's. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.translation.responses import reading
from gateway.translation.responses.tools import NO_HOSTED_TOOLS, Described, Tool, flat_name

_UNTOLD = "chat completions have no word for it"
_CALLABLE = ("function", "custom", None)


@dataclass(frozen=True, slots=True)
class Tools:
    offered: tuple[Tool, ...]
    """What the model may choose from."""
    choice: Any
    """Chat's `tool_choice`, or None: it says nothing."""
    by_name: Mapping[str, Tool] = field(repr=False)
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


def chosen(choice: Any, described: Described) -> Tools:
    """What of the `described` tools the model may use. Raises InvalidRequest.

    A tool that nobody here can run is refused where the caller demands it, or has no other.
    """
    by_name = described.by_name
    if isinstance(choice, dict):
        return _chosen_by_name(choice, by_name)
    if choice is not None:
        reading.one_of(choice, "tool_choice", ("none", "auto", "required"), _UNTOLD)
    if described.left_out is not None and not by_name and choice != "none":
        _refuse_hosted(*described.left_out)
    if choice == "required" and not by_name:
        reading.refuse("tool_choice", "`tool_choice` is `required`, but there are no tools.")
    return Tools(tuple(by_name.values()), choice if by_name else None, by_name)


def _refuse_hosted(param: str, kind: str) -> None:
    reading.refuse(
        param,
        f"A tool of the type {kind} cannot be used with this model: {NO_HOSTED_TOOLS}. Leave it out,"
        " or add a `function`, a `custom` tool or a `namespace` that your client runs.",
    )


def _chosen_by_name(choice: dict[str, Any], by_name: Mapping[str, Tool]) -> Tools:
    kind = choice.get("type")
    if kind == "allowed_tools":
        return _allowed(choice, by_name)
    if kind not in ("function", "custom"):
        reading.refuse(
            "tool_choice.type",
            f"`tool_choice` cannot be {reading.quoted(kind)}: {NO_HOSTED_TOOLS}.",
        )
    tool = _named(choice, "tool_choice", by_name)
    forced = {"type": "function", "function": {"name": tool.flat}}
    return Tools(tuple(by_name.values()), forced, by_name)


def _allowed(choice: dict[str, Any], by_name: Mapping[str, Tool]) -> Tools:
    """The model is only told of the tools it may use."""
    mode = reading.one_of(choice.get("mode"), "tool_choice.mode", ("auto", "required"), _UNTOLD)
    listed = reading.sequence(choice.get("tools"), "tool_choice.tools")
    allowed = {
        flat
        for index, value in enumerate(listed)
        for flat in _allowed_by(value, f"tool_choice.tools[{index}]", by_name)
    }
    offered = tuple(tool for tool in by_name.values() if tool.flat in allowed)
    if not offered and (listed or mode == "required"):
        reading.refuse(
            "tool_choice.tools", f"None of the allowed tools can be used: {NO_HOSTED_TOOLS}."
        )
    return Tools(offered, mode if offered else None, by_name)


def _allowed_by(value: Any, param: str, by_name: Mapping[str, Tool]) -> list[str]:
    """The flat names of the tools that an entry allows: of a hosted tool's, none."""
    entry = reading.mapping(value, param)
    kind = entry.get("type")
    if kind == "namespace":
        return [flat for flat, tool in by_name.items() if tool.namespace == entry.get("name")]
    return [_named(entry, param, by_name).flat] if kind in _CALLABLE else []


def _named(value: dict[str, Any], param: str, by_name: Mapping[str, Tool]) -> Tool:
    """The tool of that name, which need not say its namespace where only one has it."""
    name = reading.text(value.get("name"), f"{param}.name")
    namespace = reading.optional_text(value.get("namespace"), f"{param}.namespace")
    exact = by_name.get(flat_name(namespace, name))
    if exact is not None:
        return exact
    alike = [tool for tool in by_name.values() if namespace is None and tool.name == name]
    if len(alike) != 1:
        why = "several namespaces have it" if alike else "`tools` does not describe it"
        reading.refuse(f"{param}.name", f"The tool `{reading.cut(name)}` cannot be chosen: {why}.")
    return alike[0]
