"""JSON that is read one level at a time, so that values which need no change keep their bytes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, TypeVar

import msgspec

from gateway.errors import InvalidRequest

Json = bytes | msgspec.Raw
"""One JSON value. The two join alike, but only bytes can be compared."""
T = TypeVar("T")

EMPTY_TEXT = b'""'
LINE_BREAK = b"\\n"
"""As it stands within a JSON string."""
NULL = msgspec.Raw(b"null")
"""Where a member that may be missing is: `Raw | None` would take null alone."""
MOST_QUOTED_CHARACTERS = 80
_STRING = msgspec.json.Decoder(str)
_WHOLE_NUMBER = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0)])
_PLACE = re.compile(r"^(?P<what>.*) - at `\$(?P<place>.*)`$", re.DOTALL)
_MISSING = re.compile(r"missing required field `(?P<name>[^`]*)`")


def read(decoder: msgspec.json.Decoder[T], value: Json, where: str) -> T:
    """Raises InvalidRequest, with `where` and the place below it as `param`."""
    try:
        return decoder.decode(value)
    except msgspec.ValidationError as error:
        raise _misfit(str(error), where) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise invalid(where, f"is not valid JSON: {error}.") from None
    except RecursionError:
        raise invalid(where, "is nested too deeply.") from None


def _misfit(said: str, where: str) -> InvalidRequest:
    found = _PLACE.match(said)
    what, place = (found["what"], found["place"]) if found else (said, "")
    missing = _MISSING.search(what)
    param = f"{where}{place}.{missing['name']}" if missing else f"{where}{place}"
    return invalid(param, f"cannot be taken: {what[:MOST_QUOTED_CHARACTERS]}.")


def invalid(param: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"`{param}` {why}", param=param)


def is_text(value: Json) -> bool:
    return begins(value, b'"')


def is_null(value: Json) -> bool:
    return begins(value, b"n")


def is_empty_text(value: Json) -> bool:
    return begins(value, EMPTY_TEXT)


def begins(value: Json, first: bytes) -> bool:
    return memoryview(value)[: len(first)] == first


def string(value: Json) -> str | None:
    """The string that `value` is, or None: of a hint that is something else nothing is taken."""
    try:
        return _STRING.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def whole_number(value: Json) -> int | None:
    """The number, from 0, that `value` is, or None."""
    try:
        return _WHOLE_NUMBER.decode(value)
    except msgspec.DecodeError:
        return None


def checked_text(value: Json, where: str) -> Json:
    """`value`, when it is a string. Raises InvalidRequest."""
    if not is_text(value):
        raise invalid(where, "must be a string.")
    return value


def joined(texts: Iterable[Json], between: bytes = b"") -> bytes:
    """JSON strings as one. `between` is what stands within one, such as LINE_BREAK."""
    return b'"' + between.join(memoryview(text)[1:-1] for text in texts) + b'"'


def object_of(members: Mapping[str, Json]) -> bytes:
    pairs = (b"".join((msgspec.json.encode(name), b":", members[name])) for name in members)
    return b"{" + b",".join(pairs) + b"}"


def array_of(values: Iterable[Json]) -> bytes:
    return b"[" + b",".join(values) + b"]"


def embedded(value: Json, where: str) -> bytes:
    """A JSON string that holds `value` as JSON. Raises InvalidRequest."""
    try:
        return msgspec.json.encode(bytes(memoryview(value)).decode())
    except UnicodeDecodeError as error:
        raise invalid(where, f"is not valid JSON: {error}.") from None


def text(value: str) -> bytes:
    return msgspec.json.encode(value)


def number(value: int) -> bytes:
    return b"%d" % value
