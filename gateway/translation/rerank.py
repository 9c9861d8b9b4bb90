"""Rerank: the documents of Cohere's and Jina's clients as vLLM takes them, and back. Pure.

vLLM takes strings and its own {"content": [...]} objects; of `return_documents` and `rank_fields`
it knows nothing. Every value that needs no change keeps its bytes, the scores above all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway.abilities import NO_ABILITIES, Ability
from gateway.calls import check_values
from gateway.errors import UpstreamBroke
from gateway.translation import EventStream, Translation
from gateway.translation.chat import UNREADABLE
from gateway.translation.raw import (
    LINE_BREAK,
    MOST_QUOTED_CHARACTERS,
    Json,
    array_of,
    invalid,
    joined,
    object_of,
    read,
)

Members = Mapping[str, msgspec.Raw]

MOST_DOCUMENTS = 10_000
MOST_RANK_FIELDS = 100
DEFAULT_FIELDS = ("text",)
HONOURED = frozenset({"return_documents", "rank_fields"})
"""Aurora sees to these, so they are not sent."""
IMAGE_URLS = ("http://", "https://", "data:")
IMAGE_TYPES = {"/9j/": "jpeg", "R0lGOD": "gif", "UklGR": "webp", "iVBOR": "png"}
"""By how an image begins in base64."""

_VALUES = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_RESULTS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def to_vllm(members: Members, model: str, path: str) -> Translation | None:
    """A call as vLLM takes it, or None where it does already.

    Raises InvalidRequest, whose `param` is the member, as `documents[3]`.
    """
    check_values(members)
    fields = _rank_fields(members)
    given = _documents(members)
    put = [_put(raw, fields, f"documents[{at}]") for at, raw in enumerate(given)]
    own = {at: raw for at, raw in enumerate(given) if put[at] is not raw}
    changed: dict[str, Json] = {"documents": array_of(put)} if own else {}
    query = members.get("query")
    if query is not None and _begins(query, b"{"):
        asked = _object(query, DEFAULT_FIELDS, "query")
        changed |= {"query": asked} if asked is not query else {}
    shown = _returns_documents(members)
    if shown and not changed:
        return None
    kept = {name: value for name, value in members.items() if name not in HONOURED}
    return _Rerank(
        path, object_of({**kept, **changed, "model": msgspec.json.encode(model)}), own, shown
    )


@dataclass(slots=True)
class _Rerank:
    path: str
    body: bytes = field(repr=False)
    own: Mapping[int, Json] = field(repr=False)
    """The caller's documents that are sent in another form, by index."""
    shown: bool
    """Whether results hold their documents."""
    uses: frozenset[Ability] = NO_ABILITIES

    def whole(self, answer: bytes) -> bytes:
        try:
            members = _OBJECT.decode(answer)
            results = [self._result(result) for result in _RESULTS.decode(members["results"])]
        except (KeyError, *UNREADABLE):
            raise UpstreamBroke("The server's answer to a rerank holds no results.") from None
        return object_of({**members, "results": array_of(results)})

    def _result(self, result: dict[str, msgspec.Raw]) -> bytes:
        index = msgspec.json.decode(result["index"], type=int)
        if not self.shown:
            return object_of({name: value for name, value in result.items() if name != "document"})
        return object_of({**result, "document": self.own[index]} if index in self.own else result)

    def stream(self) -> EventStream:
        raise UpstreamBroke("A rerank does not come as a stream.")


def _documents(members: Members) -> list[msgspec.Raw]:
    """Each document, of one alone too; none where there is no list: vLLM has its words for that."""
    raw = members.get("documents")
    if raw is None or not _begins(raw, b"[{"):
        return []
    if _begins(raw, b"{"):
        return [raw]
    given = read(_VALUES, raw, "documents")
    if len(given) > MOST_DOCUMENTS:
        raise invalid("documents", f"may be {MOST_DOCUMENTS} at most.")
    return given


def _put(raw: msgspec.Raw, fields: Sequence[str], where: str) -> Json:
    if _begins(raw, b'"'):
        return raw
    if not _begins(raw, b"{"):
        raise invalid(where, "must be a string or an object.")
    return _object(raw, fields or DEFAULT_FIELDS, where, chosen=bool(fields))


def _object(raw: msgspec.Raw, fields: Sequence[str], where: str, *, chosen: bool = False) -> Json:
    """The string or the content for an object; `raw` itself where it is vLLM's own."""
    members = read(_OBJECT, raw, where)
    content, image = members.get("content"), members.get("image")
    if content is not None and _begins(content, b"["):
        return raw
    texts = [_text(members[name], where, name) for name in fields if name in members]
    if image is None or chosen:
        if not texts:
            wanted = " or ".join(f"`{name}`" for name in fields)
            raise invalid(where, f"has no {wanted[:MOST_QUOTED_CHARACTERS]}.")
        return joined(texts, LINE_BREAK)
    if texts:
        raise invalid(where, "has a `text` and an `image`: `rank_fields` may say which counts.")
    return _image(image, f"{where}.image")


def _image(raw: msgspec.Raw, where: str) -> bytes:
    url = _decoded(raw, where)
    if not url.startswith(IMAGE_URLS):
        kind = next((kind for start, kind in IMAGE_TYPES.items() if url.startswith(start)), "png")
        url = f"data:image/{kind};base64,{url}"
    part = {"type": "image_url", "image_url": {"url": url}}
    return msgspec.json.encode({"content": [part]})


def _text(raw: msgspec.Raw, where: str, name: str) -> msgspec.Raw:
    if not _begins(raw, b'"'):
        raise invalid(f"{where}.{name[:MOST_QUOTED_CHARACTERS]}", "must be a string.")
    return raw


def _decoded(raw: msgspec.Raw, where: str) -> str:
    try:
        return msgspec.json.decode(raw, type=str)
    except UNREADABLE:
        raise invalid(where, "must be a string.") from None


def _rank_fields(members: Members) -> list[str]:
    raw = members.get("rank_fields")
    if raw is None or _begins(raw, b"n"):
        return []
    try:
        fields = msgspec.json.decode(raw, type=list[str])
    except UNREADABLE:
        fields = []
    if not 0 < len(fields) <= MOST_RANK_FIELDS:
        raise invalid("rank_fields", f"must be a list of 1 to {MOST_RANK_FIELDS} names.")
    return fields


def _returns_documents(members: Members) -> bool:
    raw = members.get("return_documents")
    if raw is None:
        return True
    try:
        return msgspec.json.decode(raw, type=bool | None) is not False
    except UNREADABLE:
        raise invalid("return_documents", "must be true or false.") from None


def _begins(raw: Json, any_of: bytes) -> bool:
    return memoryview(raw)[0] in any_of
