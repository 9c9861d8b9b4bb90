"""JSON text with half a surrogate pair in it, as programs send that cut a string within an emoji. Pure.

RFC 8259 (8.2) lets such text be, and vLLM takes it; msgspec does not. Where it only passes through,
its bytes stay; where it is read, U+FFFD stands in for each half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

MOST_HALVES = 10_000
"""In one body. Each costs a round in Python."""
MOST_BACKSLASHES = 1_000_000
"""In one body with halves. To look for those costs by the escape, while every other call waits."""
REPLACEMENT = rb"\ufffd"
_PAIR = rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_OTHER_ESCAPE = rb"\\(?!u[dD][89a-fA-F])[\s\S]"
# Every byte belongs to a match, so that none begins within a pair: a run without halves, or a half.
_HALF = re.compile(
    rb"(?:[^\\]++|" + _OTHER_ESCAPE + rb"|" + _PAIR + rb")++|\\u([dD][89a-fA-F][0-9a-fA-F]{2})"
)
_HINT = re.compile(rb"\\u[dD][89a-fA-F]")
_PRIVATE = re.compile(rb"\\u([eE])(?=[89a-fA-F][0-9a-fA-F]{2})")

_PRIVATE_CHARACTER = re.compile("[\ue800-\uefff]")


@dataclass(frozen=True, slots=True)
class Hidden:
    """A JSON text that can be read: each half is the private character one digit beyond it, U+E83D
    for U+D83D. Where such characters were in the text before, U+FFFD is all that is left of the
    halves, and `is_exact` is false."""

    text: bytes
    is_exact: bool

    def name(self, name: str) -> str:
        """The name of a member of `text`, with U+FFFD for each half: str holds none of them."""
        return _PRIVATE_CHARACTER.sub("\ufffd", name) if self.is_exact else name

    def shown(self, value: msgspec.Raw) -> msgspec.Raw:
        """`value`, a part of `text`, as it came."""
        if not self.is_exact:
            return value
        kept = bytes(memoryview(value))
        return msgspec.Raw(_PRIVATE.sub(lambda found: b"\\u" + _digit_before(found[1]), kept))


def hidden(text: bytes) -> Hidden | None:
    """None where no half is in `text`, more than MOST_HALVES, or more than MOST_BACKSLASHES."""
    if not _HINT.search(text) or text.count(b"\\") > MOST_BACKSLASHES or not _has_a_few(text):
        return None
    if _PRIVATE.search(text):
        return Hidden(mended(text), is_exact=False)
    beyond = _HALF.sub(lambda found: _digit_after(found[1]) if found[1] else found[0], text)
    return Hidden(beyond, is_exact=True)


def mended(text: bytes) -> bytes:
    """JSON `text` with U+FFFD for each half."""
    return _HALF.sub(lambda found: REPLACEMENT if found[1] else found[0], text)


def mended_members(members: Mapping[str, msgspec.Raw]) -> Mapping[str, msgspec.Raw]:
    """To be called before members are read in detail; the same where no half is in them."""
    cut = [name for name, raw in members.items() if _is_cut(raw)]
    more = {name: msgspec.Raw(mended(bytes(memoryview(members[name])))) for name in cut}
    return {**members, **more} if cut else members


def _is_cut(raw: msgspec.Raw) -> bool:
    """Whether a half is in `raw`. msgspec tells halves from pairs much sooner than `_HALF` does."""
    if not _HINT.search(memoryview(raw)):
        return False
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except msgspec.DecodeError:
        return True
    return False


def _has_a_few(text: bytes) -> bool:
    """Whether `text` holds halves, and MOST_HALVES at most. Text that is no JSON, such as `\\u` without
    digits, is not searched any further either."""
    halves = 0
    for number, match in enumerate(_HALF.finditer(text)):
        halves += match[1] is not None
        if number > 2 * MOST_HALVES:
            return False
    return 0 < halves <= MOST_HALVES


def _digit_after(digits: bytes) -> bytes:
    """`d83d` -> `\\ue83d`, in the same case."""
    return b"\\u" + bytes([digits[0] + 1]) + digits[1:]


def _digit_before(digit: bytes) -> bytes:
    return bytes([digit[0] - 1])
