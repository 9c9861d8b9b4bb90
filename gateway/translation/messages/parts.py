"""Content blocks as the parts of a chat message: texts, images, and lines for what is neither."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

from gateway.translation import documents, raw
from gateway.translation.documents import PdfTexts
from gateway.translation.messages import blocks
from gateway.translation.messages.blocks import Block, Document, Image, Other, SearchResult, Text
from gateway.translation.raw import LINE_BREAK, Json

MOST_TYPE_CHARACTERS = 80
MOST_DEPTH = 6
"""Of the blocks within a block of an unknown type that are searched for text."""


class TextPart(Struct):
    text: Json
    unseen_at: str = ""
    """Where the client put what the model cannot see, if this is the line that says so."""


class ImagePart(Struct):
    url: Json


Part = TextPart | ImagePart


class _Typed(Struct):
    type: str


class _Base64(Struct):
    media_type: Raw
    data: Raw


class _Url(Struct):
    url: Raw


class _File(Struct):
    file_id: str


class _PlainText(Struct):
    data: Raw


class _Nested(Struct):
    content: Raw


_TYPED = msgspec.json.Decoder(_Typed)
_BASE64 = msgspec.json.Decoder(_Base64)
_URL = msgspec.json.Decoder(_Url)
_FILE = msgspec.json.Decoder(_File)
_PLAIN_TEXT = msgspec.json.Decoder(_PlainText)
_NESTED = msgspec.json.Decoder(_Nested)
_STRING = msgspec.json.Decoder(str)
_ANY = msgspec.json.Decoder()


def parts(block: Block, where: str, pdfs: PdfTexts) -> list[Part]:
    """`block` as parts of a user's message, in order. Raises InvalidRequest, placed at `where`.

    Never empty but for an empty text: of what the model cannot see it is told.
    """
    if isinstance(block, Text):
        return text_part(block.text, f"{where}.text")
    if isinstance(block, Image):
        return [_image(block.source, f"{where}.source")]
    if isinstance(block, Document):
        return _document(block, where, pdfs)
    if isinstance(block, SearchResult):
        return _search_result(block, where, pdfs)
    if isinstance(block, Other):
        return plain_text(block, where) or [
            _unseen(f"{where}.type", f"block of the type {_cut(block.type)}")
        ]
    return []


def text_part(text: Json, where: str) -> list[Part]:
    """Nothing for an empty text: chat templates and servers trip over these."""
    checked = raw.checked_text(text, where)
    return [] if raw.is_empty_text(checked) else [TextPart(checked)]


def plain_text(block: Other, where: str) -> list[Part]:
    """The plain text within a block of an unknown type, named; nothing where it holds none."""
    texts = list(_texts(raw.read(_ANY, block.value, where), MOST_DEPTH))
    return [TextPart(raw.text("\n".join([f"[{_cut(block.type)}]", *texts])))] if texts else []


def _texts(value: Any, depth: int) -> Iterator[str]:
    """The texts that Anthropic's results and documents hold, in order."""
    if depth == 0:
        return
    if isinstance(value, list):
        for each in value:
            yield from _texts(each, depth - 1)
    elif isinstance(value, dict):
        for name in ("title", "url", "text", "content"):
            if isinstance(found := value.get(name), str) and found:
                yield found
        yield from _texts([value.get("content")], depth - 1)
        source = value.get("source")
        if isinstance(source, dict) and source.get("type") == "text":
            yield from _texts({"text": source.get("data")}, depth - 1)


def _image(source: Json, where: str) -> Part:
    kind = raw.read(_TYPED, source, where).type
    if kind == "url":
        return ImagePart(raw.checked_text(raw.read(_URL, source, where).url, f"{where}.url"))
    if kind == "base64":
        return _inline_image(raw.read(_BASE64, source, where), where)
    if kind == "file":
        return _unseen(f"{where}.type", "image", raw.read(_FILE, source, where).file_id)
    return _unseen(f"{where}.type", "image")


def _inline_image(source: _Base64, where: str) -> Part:
    kind = raw.checked_text(source.media_type, f"{where}.media_type")
    data = raw.checked_text(source.data, f"{where}.data")
    return ImagePart(raw.joined((b'"data:"', kind, b'";base64,"', data)))


def _document(block: Document, where: str, pdfs: PdfTexts) -> list[Part]:
    named = (("title", block.title), ("context", block.context))
    heading = [
        raw.checked_text(value, f"{where}.{name}")
        for name, value in named
        if not raw.is_null(value)
    ]
    name = None if raw.is_null(block.title) else raw.read(_STRING, block.title, f"{where}.title")
    below = _content(block.source, name, f"{where}.source", pdfs)
    if below and isinstance(below[0], TextPart) and below[0].unseen_at:
        context = [] if raw.is_null(block.context) else text_part(block.context, f"{where}.context")
        return [*below, *context]
    return _headed(heading, below)


def _content(source: Json, name: str | None, where: str, pdfs: PdfTexts) -> list[Part]:
    kind = raw.read(_TYPED, source, where).type
    if kind == "text":
        return text_part(raw.read(_PLAIN_TEXT, source, where).data, f"{where}.data")
    if kind == "content":
        return _nested(raw.read(_NESTED, source, where).content, f"{where}.content", pdfs)
    if kind == "base64":
        return [_attached(raw.read(_BASE64, source, where), name, where, pdfs)]
    if kind == "url":
        url = raw.read(_STRING, raw.read(_URL, source, where).url, f"{where}.url")
        return [_unseen(f"{where}.type", "document", url)]
    if kind == "file":
        id = raw.read(_FILE, source, where).file_id
        return [_unseen(f"{where}.type", "document", name or id)]
    return [_unseen(f"{where}.type", "document", name)]


def _attached(source: _Base64, name: str | None, where: str, pdfs: PdfTexts) -> Part:
    """A file in base64: an image as such, a text as its text, else a line."""
    kind = raw.read(_STRING, source.media_type, f"{where}.media_type")
    if kind.startswith("image/"):
        return _inline_image(source, where)
    data = raw.read(_STRING, source.data, f"{where}.data")
    text, is_seen = documents.document(data, kind, name, pdfs)
    return TextPart(raw.text(text), "" if is_seen else f"{where}.type")


def _nested(content: Json, where: str, pdfs: PdfTexts) -> list[Part]:
    if raw.is_text(content):
        return text_part(content, where)
    found = blocks.read(content, blocks.SHOWN, where)
    return [part for i, each in enumerate(found) for part in parts(each, f"{where}[{i}]", pdfs)]


def _search_result(block: SearchResult, where: str, pdfs: PdfTexts) -> list[Part]:
    heading = [raw.checked_text(block.title, f"{where}.title")]
    heading.append(raw.checked_text(block.source, f"{where}.source"))
    return _headed(heading, _nested(block.content, f"{where}.content", pdfs))


def _headed(heading: list[Json], below: list[Part]) -> list[Part]:
    """A heading becomes the beginning of the first text, or a text of its own."""
    if not heading:
        return below
    if below and isinstance(below[0], TextPart):
        return [TextPart(raw.joined((*heading, below[0].text), LINE_BREAK)), *below[1:]]
    return [TextPart(raw.joined(heading, LINE_BREAK)), *below]


def _unseen(where: str, what: str, name: str | None = None) -> Part:
    return TextPart(raw.text(documents.unseen(what, name)), where)


def without_image(part: Part, where: str) -> Part:
    """For a model of text alone: a line where there is an image."""
    return _unseen(f"{where}.type", "image") if isinstance(part, ImagePart) else part


def _cut(type: str) -> str:
    return type[:MOST_TYPE_CHARACTERS]


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
