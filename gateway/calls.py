"""Bytes -> Call: the body's top level is read once, its members are kept as they came. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from gateway.errors import InvalidJson, InvalidRequest

MOST_MEMBERS = 1000
MOST_NAMES = 200_000
"""Of all objects in a body together. No real call has more; decoding millions stops every call."""
DENSE_BYTES = 2**20
_NAME = re.compile(rb'(?<!\\)"[ \t\r\n]*:')
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
MOST_SELECTOR_CHARACTERS = 512


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks: the selector it names in `model`, and every member, raw."""

    selector: str
    members: Mapping[str, msgspec.Raw] = field(repr=False)

    def body_for(self, upstream_model: str) -> bytes:
        """The body for a server that knows the model as `upstream_model`.

        Only the value of `model` differs from what the client sent; each other member's value is
        the same, byte for byte, in the same order. A member sent twice is there once, its last.
        """
        return joined({**self.members, "model": msgspec.json.encode(upstream_model)})


def joined(members: Mapping[str, Any]) -> bytes:
    """A JSON object of members that are JSON themselves (bytes or Raw), one at least."""
    parts: list[Any] = []  # bytes and Raw, which join as bytes do
    for name, value in members.items():
        parts += (b",", msgspec.json.encode(name), b":", value)
    parts[0] = b"{"
    return b"".join((*parts, b"}"))


def parse(body: bytes) -> Call:
    """Raises InvalidJson, or InvalidRequest where `model` is missing or not a name."""
    members = read_members(body)
    if "model" not in members:
        raise InvalidRequest("The body must name a `model`.", param="model")
    selector = _text(members["model"])
    if selector is None or not 0 < len(selector) <= MOST_SELECTOR_CHARACTERS:
        raise InvalidRequest(
            f"`model` must be a string of 1 to {MOST_SELECTOR_CHARACTERS} characters.",
            param="model",
        )
    return Call(selector, members)


def read_members(body: bytes) -> dict[str, msgspec.Raw]:
    """The top level of a JSON object.

    Raises InvalidJson, which says where it went wrong, or InvalidRequest for too many members.
    """
    _check_density(body)
    try:
        members = _MEMBERS.decode(body)
    except msgspec.ValidationError:
        raise InvalidJson("The body must be a JSON object.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidJson(f"The body is not valid JSON: {error}.") from None
    except RecursionError:
        raise InvalidJson("The body is not valid JSON: it is nested too deeply.") from None
    if len(members) > MOST_MEMBERS:
        raise InvalidRequest(f"The body may have {MOST_MEMBERS} members at most.")
    return members


def _check_density(body: bytes) -> None:
    """A large body must not consist of names alone."""
    if len(body) < DENSE_BYTES or body.count(b":") <= MOST_NAMES:
        return
    if sum(1 for _ in islice(_NAME.finditer(body), MOST_NAMES + 1)) > MOST_NAMES:
        raise InvalidRequest(f"The body holds more than {MOST_NAMES} names.")


def model_named(body: bytes) -> str | None:
    """The `model` of a body that need not have one, or None."""
    try:
        raw = read_members(body).get("model")
    except InvalidJson:
        return None
    return None if raw is None else _text(raw)


def _text(raw: msgspec.Raw) -> str | None:
    try:
        return msgspec.json.decode(raw, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
