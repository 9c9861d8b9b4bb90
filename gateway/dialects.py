"""What clients speak: how each dialect words a refusal, and ends a stream that breaks off. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

import msgspec

from gateway import errors, sse
from gateway.errors import GatewayError


class Dialect(Enum):
    """Which API a route belongs to, as far as its errors look different."""

    OPENAI = auto()
    RESPONSES = auto()
    """OpenAI's as well, but for the event that ends a stream."""
    ANTHROPIC = auto()
    COHERE = auto()


ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
"""By status; any other is an invalid_request_error below 500 and an api_error from there."""


def spoken(by_route: Dialect, headers: Iterable[tuple[bytes, bytes]]) -> Dialect:
    """The route's dialect; on OpenAI's routes, which others call too, Anthropic's for who says so."""
    if by_route is not Dialect.OPENAI:
        return by_route
    said = any(name == b"anthropic-version" for name, _ in headers)
    return Dialect.ANTHROPIC if said else by_route


def headers(dialect: Dialect, request_id: str) -> list[tuple[bytes, bytes]]:
    """What an answer says beside X-Request-Id: where this dialect's clients look for the id."""
    return [(b"request-id", request_id.encode())] if dialect is Dialect.ANTHROPIC else []


def body(error: GatewayError, dialect: Dialect, request_id: str = "") -> bytes:
    """The JSON that refuses a call."""
    if dialect is Dialect.ANTHROPIC:
        return msgspec.json.encode({**_anthropic(error), "request_id": request_id or None})
    if dialect is Dialect.COHERE:
        said = {"type": error.type, "param": error.param, "code": error.code}
        return msgspec.json.encode({"message": str(error), **said})
    return errors.shape(error)


def event(error: GatewayError, dialect: Dialect, sequence_number: int = 0) -> bytes:
    """The event that ends a stream which cannot go on; `sequence_number` is for RESPONSES."""
    if dialect is Dialect.ANTHROPIC:
        return sse.event(msgspec.json.encode(_anthropic(error)), b"error")
    if dialect is Dialect.RESPONSES:
        said = {"code": error.code, "message": str(error), "param": error.param}
        numbered = {"type": "error", "sequence_number": sequence_number, **said}
        return sse.event(msgspec.json.encode(numbered), b"error")
    return sse.event(errors.shape(error))


def _anthropic(error: GatewayError) -> dict[str, object]:
    other = "invalid_request_error" if error.status < 500 else "api_error"
    said: dict[str, object] = {
        "type": ANTHROPIC_TYPES.get(error.status, other),
        "message": str(error),
    }
    if isinstance(error, errors.UnknownThread):  # its clients go by the code
        said["details"] = {"error_code": error.code}
    return {"type": "error", "error": said}
