"""A model that is named in the query: what a client calls it, and what the server does. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote, unquote_plus

from gateway.calls import MOST_SELECTOR_CHARACTERS
from gateway.errors import InvalidRequest


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
