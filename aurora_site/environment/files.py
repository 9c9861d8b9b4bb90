"""Reads a text file that an operator wrote. Errors never repeat what is in it: it may be a secret."""

from __future__ import annotations

import codecs
from pathlib import Path

MOST_BYTES = 2**20
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class BadFile(ValueError):
    """A file cannot be used. The text has its name, the line if one is at fault, and no content."""


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without its byte-order mark.

    Raises FileNotFoundError where there is nothing, and BadFile where there is something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        if path.is_symlink():
            raise BadFile(f"{path}: it is a link to a file that is not there") from None
        raise
    except OSError as error:
        raise BadFile(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > MOST_BYTES:
        raise BadFile(f"{path}: larger than {MOST_BYTES} bytes")
    return _decoded(content, path)


def _decoded(content: bytes, path: Path) -> str:
    if content.startswith(_UTF_16):
        raise BadFile(f"{path}: UTF-16 text; save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
        position = text.find("\0")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadFile(f"{path}: not UTF-8 text, in line {line}; save it as UTF-8") from None
    if position >= 0:
        line = text.count("\n", 0, position) + 1
        raise BadFile(f"{path}: not UTF-8 text, in line {line}: it holds a zero byte")
    return text
