"""The content blocks that can be put into a chat message, as Anthropic's clients send them.

What is not here, such as a server tool's result or a file, is refused by its `type`. Members
without a meaning for a vLLM server are not read: `cache_control` (vLLM caches every prefix by
itself), `signature` (nobody here can check one), `caller`.
"""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Raw, Struct

from gateway.translation import raw
from gateway.translation.raw import LINE_BREAK, Json


class Text(Struct, tag="text"):
    text: Raw


class Base64(Struct, tag="base64"):
    media_type: Raw
    data: Raw


class Url(Struct, tag="url"):
    url: Raw


class Image(Struct, tag="image"):
    source: Base64 | Url


class PlainText(Struct, tag="text"):
    data: Raw


class Nested(Struct, tag="content"):
    content: Raw


class Citations(Struct):
    enabled: bool = False


class Document(Struct, tag="document"):
    source: PlainText | Nested
    title: Raw = raw.NULL
    context: Raw = raw.NULL
    citations: Citations | None = None


class SearchResult(Struct, tag="search_result"):
    source: Raw
    title: Raw
    content: list[Text]
    citations: Citations | None = None


class ToolReference(Struct, tag="tool_reference"):
    tool_name: str


class ToolResult(Struct, tag="tool_result"):
    tool_use_id: str
    content: Raw = raw.NULL
    is_error: bool | None = None


class Thinking(Struct, tag="thinking"):
    thinking: Raw


class RedactedThinking(Struct, tag="redacted_thinking"):
    """Encrypted by Anthropic for its own models: no other can read it, so it is left out."""


class ToolUse(Struct, tag="tool_use"):
    id: str
    name: str
    input: Raw


class Message(Struct):
    role: Literal["user", "assistant", "system"]
    content: Raw


Shown = Text | Image | Document | SearchResult
"""What becomes parts of a user's message."""
MESSAGES = msgspec.json.Decoder(list[Message])
TEXTS = msgspec.json.Decoder(list[Text])
TEXTS_AND_IMAGES = msgspec.json.Decoder(list[Text | Image])
OF_USER = msgspec.json.Decoder(list[Shown | ToolResult])
OF_RESULT = msgspec.json.Decoder(list[Shown | ToolReference])
OF_ASSISTANT = msgspec.json.Decoder(list[Text | Thinking | RedactedThinking | ToolUse])


class TextPart(Struct):
    text: Json


class ImagePart(Struct):
    url: Json


Part = TextPart | ImagePart


def parts(block: Shown, where: str) -> list[Part]:
    """`block` as parts of a chat message, in order. Raises InvalidRequest, placed at `where`."""
    if isinstance(block, Text):
        return texts_of([block], where)
    if isinstance(block, Image):
        return [_image(block, f"{where}.source")]
    if block.citations is not None and block.citations.enabled:
        raise raw.invalid(f"{where}.citations", "cannot be asked of a vLLM server.")
    if isinstance(block, Document):
        return _document(block, where)
    heading = [raw.checked_text(block.title, f"{where}.title")]
    heading.append(raw.checked_text(block.source, f"{where}.source"))
    return _headed(heading, texts_of(block.content, f"{where}.content"))


def texts_of(blocks: list[Text], where: str) -> list[Part]:
    """Those that say something: chat templates and servers trip over empty texts."""
    texts = [raw.checked_text(block.text, f"{where}.text") for block in blocks]
    return [TextPart(text) for text in texts if not raw.is_empty_text(text)]


def _image(block: Image, where: str) -> Part:
    source = block.source
    if isinstance(source, Url):
        return ImagePart(raw.checked_text(source.url, f"{where}.url"))
    kind = raw.checked_text(source.media_type, f"{where}.media_type")
    data = raw.checked_text(source.data, f"{where}.data")
    return ImagePart(raw.joined((b'"data:"', kind, b'";base64,"', data)))


def _document(block: Document, where: str) -> list[Part]:
    heading = [
        raw.checked_text(value, f"{where}.{name}")
        for name, value in (("title", block.title), ("context", block.context))
        if not raw.is_null(value)
    ]
    source, inside = block.source, f"{where}.source"
    if isinstance(source, PlainText):
        return _headed(heading, [TextPart(raw.checked_text(source.data, f"{inside}.data"))])
    inside += ".content"
    if raw.is_text(source.content):
        return _headed(heading, [TextPart(source.content)])
    found = raw.read(TEXTS_AND_IMAGES, source.content, inside)
    below = [part for i, each in enumerate(found) for part in parts(each, f"{inside}[{i}]")]
    return _headed(heading, below)


def _headed(heading: list[Json], below: list[Part]) -> list[Part]:
    """A heading becomes the beginning of the first text, or a text of its own."""
    if not heading:
        return below
    if below and isinstance(below[0], TextPart):
        return [TextPart(raw.joined((*heading, below[0].text), LINE_BREAK)), *below[1:]]
    return [TextPart(raw.joined(heading, LINE_BREAK)), *below]


def rendered(part: Part) -> bytes:
    if isinstance(part, TextPart):
        return b"".join((b'{"type":"text","text":', part.text, b"}"))
    return b"".join((b'{"type":"image_url","image_url":{"url":', part.url, b"}}"))


def content_of(shown: list[Part]) -> Json:
    """The `content` of a chat message: a lone text as it is, else an array of parts."""
    if not shown:
        return raw.EMPTY_TEXT
    if len(shown) == 1 and isinstance(shown[0], TextPart):
        return shown[0].text
    return raw.array_of(map(rendered, shown))
