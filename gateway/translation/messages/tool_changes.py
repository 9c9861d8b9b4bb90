"""What a conversation itself says of its tools: loads them, defines them, takes them away."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
from msgspec import Raw, Struct

from gateway.translation import raw
from gateway.translation.messages.blocks import Changed, ToolReference


class _Found(Struct):
    tool_references: list[ToolReference] = []


class _Named(Struct):
    name: str


_FOUND = msgspec.json.Decoder(_Found)
_NAMED = msgspec.json.Decoder(_Named)


@dataclass(slots=True)
class ToolChanges:
    """A chat template sees one list of tools: the one in effect at the end of the conversation."""

    loaded: set[str] = field(default_factory=set)
    """The deferred tools that are in use by now."""
    removed: set[str] = field(default_factory=set)
    defined: dict[str, Raw] = field(default_factory=dict)
    """Tools that are not in the call's `tools`, as such an entry."""

    def load(self, name: str) -> None:
        self.loaded.add(name)

    def load_found(self, content: Raw, where: str) -> None:
        for reference in raw.read(_FOUND, content, where).tool_references:
            self.load(reference.tool_name)

    def add(self, tool: Changed, where: str) -> None:
        name = tool.name
        if not raw.is_null(tool.definition):
            name = raw.read(_NAMED, tool.definition, f"{where}.definition").name
            self.defined[name] = tool.definition
        self.load(name)
        self.removed.discard(name)

    def remove(self, tool: Changed) -> None:
        self.removed.add(tool.name)
