"""Files that a client attaches: the text of those that are text, a line for all others. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping

PDF = "application/pdf"
PdfTexts = Mapping[bytes, str]
"""The texts of PDFs, by the `digest` of their base64. To read a PDF is no work for a pure module."""
NO_PDFS: PdfTexts = {}
PDF_HEAD = "[The text of the attached PDF document. Its images are not visible to you.]"
MOST_NAME_CHARACTERS = 200
ONLY_UNSEEN = "holds nothing that this model can see: add a text."
"""Ends the refusal of a last turn without anything else."""

_UNREADABLE_TYPES = ("image/", "audio/", "video/", "font/", PDF, "application/zip")
_PDF_IN_BASE64 = "JVBERi"
_KINDS = {PDF: "PDF document", "application/zip": "archive"}
_FAMILIES = {"image": "image", "audio": "audio recording", "video": "video"}


def unseen(what: str, name: str | None = None) -> str:
    """The line that stands for something attached which the model cannot see.

    `name` is how the client calls it: a title, a file's name or id, a URL.
    """
    named = f" {_cut(name)!r}" if name else ""
    return f"[Attached, but not visible to you: {what}{named}]"


def document(
    data: str, media_type: str | None = None, name: str | None = None, pdfs: PdfTexts = NO_PDFS
) -> tuple[str, bool]:
    """What the model is told of a file in base64, and whether that is the file's own text.

    Without a `media_type`, or with one that says nothing, the bytes decide.
    """
    kind = PDF if is_pdf(data, media_type) else media_type
    if kind == PDF and pdfs and (read := pdfs.get(digest(data))):
        return f"{PDF_HEAD}\n{read}", True
    text = None if kind and kind.startswith(_UNREADABLE_TYPES) else _decoded(data)
    if text is None:
        return unseen(described(kind), name), False
    return text, True


def is_pdf(data: str, media_type: str | None = None) -> bool:
    return media_type == PDF or (not media_type and data.startswith(_PDF_IN_BASE64))


def digest(data: str) -> bytes:
    """The key of a file in base64."""
    return hashlib.sha256(data.encode()).digest()


def described(media_type: str | None) -> str:
    """What a file of this type is called."""
    if not media_type or media_type == "application/octet-stream":
        return "file"
    family = media_type.split("/", 1)[0]
    known = _KINDS.get(media_type) or _FAMILIES.get(family)
    return known or f"file of the type {_cut(media_type)}"


def _decoded(data: str) -> str | None:
    """The text in `data`, or None: it is binary, or not base64."""
    try:
        text = base64.b64decode(data, validate=True).decode("utf-8-sig")
    except (binascii.Error, ValueError):
        return None
    return None if "\0" in text else text


def _cut(name: str) -> str:
    return name if len(name) <= MOST_NAME_CHARACTERS else f"{name[:MOST_NAME_CHARACTERS]}…"
