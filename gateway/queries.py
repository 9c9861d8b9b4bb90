"""What of a query crosses, and the model that it names: as the client calls it, and as the server
does. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import quote, unquote_plus

from gateway.calls import MOST_SELECTOR_CHARACTERS
from gateway.errors import InvalidRequest
from gateway.header_names import is_secret

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
MOST_PARAMETERS = 256
"""Of a query with more, nothing crosses: none of vLLM's routes takes a tenth of it."""
MOST_TEXTS = 8
"""Looked at of one parameter: a key may stand in a list, or behind `Bearer`."""
_BREAKS = re.compile(r"[\s,;&?=:\"'\[\]{}()]+")


def crossing(query: bytes, is_key: Callable[[str], bool]) -> bytes:
    """The query without what carries a credential: by its name, as `api_key`, or because `is_key`
    finds a usable key of this installation in it. Every other parameter as it came."""
    if not query:
        return query
    parts = query.split(b"&")
    if len(parts) > MOST_PARAMETERS:
        return b""
    kept = [part for part in parts if not _carries_secret(part, is_key)]
    return query if len(kept) == len(parts) else b"&".join(kept)


def _carries_secret(part: bytes, is_key: Callable[[str], bool]) -> bool:
    name, _, value = (unquote_plus(text) for text in part.decode("latin-1").partition("="))
    plain = _HUMP.sub("-", name).lower().replace("_", "-").replace(".", "-").strip("-[]$ ")
    if is_secret(plain.encode()):
        return True
    return any(is_key(text) for text in _texts(name)) or any(is_key(text) for text in _texts(value))


def _texts(value: str) -> list[str]:
    """What of a value may be a key: all of it, and its parts."""
    parts = _BREAKS.split(value)
    return [text for text in dict.fromkeys([value, *parts]) if text][:MOST_TEXTS]


def model_named(query: bytes) -> str | None:
    """The value of `model` in the query; the last if it is there twice, as vLLM reads it."""
    values = [value for name, value in _parameters(query) if name == "model"]
    return values[-1] if values else None


def checked_selector(named: str | None) -> str:
    """`named`, if it can be a selector. Raises InvalidRequest."""
    if not named or len(named) > MOST_SELECTOR_CHARACTERS:
        raise InvalidRequest(
            f"The query must name a `model` of 1 to {MOST_SELECTOR_CHARACTERS} characters.",
            param="model",
        )
    return named


def with_model(query: bytes, upstream_model: str) -> bytes:
    """The query for a server that knows the model so; each other parameter as it came."""
    named = b"model=" + quote(upstream_model, safe="").encode()
    return b"&".join(
        named if unquote_plus(part.partition(b"=")[0].decode("latin-1")) == "model" else part
        for part in query.split(b"&")
    )


def _parameters(query: bytes) -> Iterator[tuple[str, str]]:
    for part in query.decode("latin-1").split("&"):
        name, _, value = part.partition("=")
        yield unquote_plus(name), unquote_plus(value)
