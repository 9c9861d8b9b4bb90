"""Bytes -> Call: the body's top level is read once, its members are kept as they came. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import msgspec

from gateway.errors import InvalidJson, InvalidRequest
from gateway.sse import BYTE_ORDER_MARK
from gateway.surrogates import hidden, mended_members

MOST_MEMBERS = 1000
MOST_NAMES = 200_000
"""Of all objects in a body together. No real call has more; reading millions stops every call."""
MOST_VALUES = 100_000
"""In a call that is read in all its detail. One whose top level alone is read may have more: a
prompt can be a million numbers."""
STEP_BYTES = 2**16
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
NO_MODEL = b'""'
MOST_SELECTOR_CHARACTERS = 512
MOST_QUOTED_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks: the selector it names in `model`, and every member, raw."""

    selector: str
    members: Mapping[str, msgspec.Raw] = field(repr=False)
    size_bytes: int = 0
    """Of the body that it came in."""

    def body_for(self, upstream_model: str) -> bytes:
        """The body for a server that knows the model as `upstream_model`.

        Only the value of `model` differs from what the client sent; each other member's value is
        the same, byte for byte, in the same order. A member sent twice is there once, its last.
        """
        return joined({**self.members, "model": msgspec.json.encode(upstream_model)})


def mended(call: Call) -> Call:
    """A call that is to be read in all its detail: U+FFFD for each half of a surrogate pair."""
    return replace(call, members=mended_members(call.members))


def detailed(body: bytes, *, unnamed: str = "") -> Call:
    """As `parse`, for a call that is to be read in all its detail. Raises as `check_values`, too."""
    call = mended(parse(body, unnamed=unnamed))
    check_values(call.members)
    return call


def joined(members: Mapping[str, Any]) -> bytes:
    """A JSON object of members that are JSON themselves (bytes or Raw), one at least."""
    parts: list[Any] = []  # bytes and Raw, which join as bytes do
    for name, value in members.items():
        parts += (b",", msgspec.json.encode(name), b":", value)
    parts[0] = b"{"
    return b"".join((*parts, b"}"))


def parse(body: bytes, *, unnamed: str = "") -> Call:
    """`unnamed` is the selector of a body that names none: `model` is missing, null or empty.

    Raises InvalidJson, or InvalidRequest where `model` is no name, or there is none to take.
    """
    members = read_members(body)
    if bytes(memoryview(members.get("model", NO_MODEL))) in {NO_MODEL, b"null"}:
        return replace(_unnamed(members, unnamed), size_bytes=len(body))
    selector = _text(members["model"])
    if selector is None or not 0 < len(selector) <= MOST_SELECTOR_CHARACTERS:
        raise InvalidRequest(
            f"`model` must be a string of 1 to {MOST_SELECTOR_CHARACTERS} characters.",
            param="model",
        )
    return Call(selector, members, len(body))


def _unnamed(members: dict[str, msgspec.Raw], selector: str) -> Call:
    if not selector:
        raise InvalidRequest(
            "The body must name a `model`: more than one is served here, and no alias `default`.",
            param="model",
        )
    return Call(selector, {**members, "model": msgspec.Raw(msgspec.json.encode(selector))})


def read_members(body: bytes) -> dict[str, msgspec.Raw]:
    """The top level of a JSON object.

    Raises InvalidJson, which says where it went wrong, or InvalidRequest for too many members.
    """
    body = body.removeprefix(BYTE_ORDER_MARK)
    _check_names(body)
    members = _decoded(body)
    if len(members) > MOST_MEMBERS:
        raise InvalidRequest(f"The body may have {MOST_MEMBERS} members at most.")
    return members


def _decoded(body: bytes) -> dict[str, msgspec.Raw]:
    try:
        return _MEMBERS.decode(body)
    except msgspec.ValidationError:
        raise InvalidJson("The body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        readable = hidden(body)
        if readable is None:
            raise InvalidJson(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise InvalidJson("The body is not valid JSON: it is nested too deeply.") from None
    found = _decoded(readable.text).items()
    return {readable.name(name): readable.shown(raw) for name, raw in found}


def check_values(members: Mapping[str, msgspec.Raw]) -> None:
    """To be called before members are read in detail, which costs by the value.

    Raises InvalidRequest where they hold more than MOST_VALUES: strings, numbers, lists and
    objects, those within others too. An empty list or object counts twice. Its `param` is the
    longest member.
    """
    values = [memoryview(raw) for raw in members.values()]
    if _are_over(values, b",[{", MOST_VALUES - len(values)):
        longest = max(members, key=lambda name: len(memoryview(members[name])))
        raise InvalidRequest(
            f"The body holds more than {MOST_VALUES} values.",
            param=longest[:MOST_QUOTED_CHARACTERS],
        )


def _check_names(body: bytes) -> None:
    """A body must not consist of names alone."""
    if _are_over([memoryview(body)], b":", MOST_NAMES):
        raise InvalidRequest(f"The body holds more than {MOST_NAMES} names.")


def _are_over(values: Sequence[memoryview], marks: bytes, most: int) -> bool:
    """Whether more than `most` of `marks` stand outside the strings of JSON values. Most calls
    have no more than that in their strings too, which is quicker to see."""
    return sum(map(len, values)) > most and all(
        _count(chain.from_iterable(map(pieces, values)), marks, most) > most
        for pieces in (_steps, _outside_strings)
    )


def _count(pieces: Iterable[bytes], marks: bytes, most: int) -> int:
    """Not to the end where there are more than `most`."""
    found = 0
    for piece in pieces:
        found += sum(piece.count(mark) for mark in marks)
        if found > most:
            break
    return found


def _steps(value: memoryview) -> Iterator[bytes]:
    """In pieces of STEP_BYTES at most, none of which ends between a backslash and what it
    escapes."""
    at = 0
    while at < len(value):
        step = bytes(value[at : at + STEP_BYTES])
        if (len(step) - len(step.rstrip(b"\\"))) % 2:
            step = step[:-1] or step
        yield step
        at += len(step)


def _unescaped(step: bytes) -> bytes:
    """Without backslashes and quotes that are escaped."""
    return step.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in step else step


def _outside_strings(value: memoryview) -> Iterator[bytes]:
    within = 0
    for step in _steps(value):
        pieces = _unescaped(step).split(b'"')
        yield b"".join(pieces[within::2])
        within ^= (len(pieces) - 1) % 2


def is_true(raw: msgspec.Raw | None) -> bool:
    return raw is not None and bytes(memoryview(raw)[:5]) == b"true"


def model_named(body: bytes) -> str | None:
    """The `model` of a body that need not have one, or None."""
    return glance(body)[0]


def glance(body: bytes) -> tuple[str | None, bool]:
    """The `model` of a body that need not have one, or None; and whether it asks for a stream."""
    try:
        members = read_members(body)
    except InvalidJson:
        return None, False
    raw = members.get("model")
    return None if raw is None else _text(raw), is_true(members.get("stream"))


def _text(raw: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
