"""The content blocks that Anthropic's clients send, each read by its `type`.

No type is refused: what is not here becomes `Other`. Members without a meaning for a vLLM server
are not read: `cache_control` (vLLM caches every prefix by itself), `citations`, `signature` (nobody
here can check one), `caller`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.translation import raw
from gateway.translation.raw import Json


class Text(Struct):
    text: Raw


class Image(Struct):
    source: Raw


class Document(Struct):
    source: Raw
    title: Raw = raw.NULL
    context: Raw = raw.NULL


class SearchResult(Struct):
    source: Raw
    title: Raw
    content: Raw


class ToolReference(Struct):
    tool_name: str


class ToolResult(Struct):
    tool_use_id: str
    content: Raw = raw.NULL
    is_error: bool | None = None


class Thinking(Struct):
    thinking: Raw


class ToolUse(Struct):
    id: str
    name: str
    input: Raw


class ToolSearchResult(Struct):
    """What a search for tools on Anthropic's servers found: it loads them."""

    content: Raw


class Changed(Struct):
    """A tool by its name, or one that is defined on the spot."""

    name: str = ""
    definition: Raw = raw.NULL


class ToolAddition(Struct):
    tool: Changed


class ToolRemoval(Struct):
    tool: Changed


class Compaction(Struct):
    """A summary that stands for everything before it; without a text it changes nothing."""

    content: str | None = None


class Other(Struct):
    """A block of any other type. Of these a model sees the plain text, where they hold some."""

    type: str
    value: Raw


Block = (
    Text | Image | Document | SearchResult | ToolReference | ToolResult | Thinking | ToolUse
    | ToolSearchResult | ToolAddition | ToolRemoval | Compaction | Other
)  # fmt: skip
Kinds = Mapping[str, msgspec.json.Decoder[Any]]
"""The types that are known where a block stands, with what reads them."""


class _Head(Struct):
    type: str


_HEAD = msgspec.json.Decoder(_Head)
_VALUES = msgspec.json.Decoder(list[Raw])
SHOWN: Kinds = {
    "text": msgspec.json.Decoder(Text),
    "image": msgspec.json.Decoder(Image),
    "document": msgspec.json.Decoder(Document),
    "search_result": msgspec.json.Decoder(SearchResult),
}
"""What becomes parts of a user's message."""
_COMPACTION: Kinds = {"compaction": msgspec.json.Decoder(Compaction)}
OF_USER: Kinds = {**SHOWN, **_COMPACTION, "tool_result": msgspec.json.Decoder(ToolResult)}
OF_RESULT: Kinds = {**SHOWN, "tool_reference": msgspec.json.Decoder(ToolReference)}
OF_ASSISTANT: Kinds = {
    **_COMPACTION,
    "text": msgspec.json.Decoder(Text),
    "thinking": msgspec.json.Decoder(Thinking),
    "tool_use": msgspec.json.Decoder(ToolUse),
    "tool_search_tool_result": msgspec.json.Decoder(ToolSearchResult),
}
OF_SYSTEM: Kinds = {
    "text": msgspec.json.Decoder(Text),
    "tool_addition": msgspec.json.Decoder(ToolAddition),
    "tool_removal": msgspec.json.Decoder(ToolRemoval),
}


def read(content: Json, kinds: Kinds, where: str) -> list[Block]:
    """Raises InvalidRequest for what is no list of blocks, or a known block without what it needs."""
    values = raw.read(_VALUES, content, where)
    return [_block(value, kinds, f"{where}[{i}]") for i, value in enumerate(values)]


def _block(value: Raw, kinds: Kinds, where: str) -> Block:
    kind = raw.read(_HEAD, value, where).type
    if kind not in kinds:
        return Other(kind, value)
    block: Block = raw.read(kinds[kind], value, where)
    return block
