"""What a vLLM server answers with an error: relayed as it is, or put into the one shape. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.errors import GatewayError, UnsupportedEndpoint, UpstreamError, UpstreamRefusedKey

MOST_BYTES = 2**20
"""A longer error body is not read."""
MOST_SECONDS = 10.0
MOST_MESSAGE_CHARACTERS = 2000


def upstream_code(status: int) -> str:
    return f"upstream_{status}"


class Reworded(GatewayError):
    """The server's own status and words, which came in another shape."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.type = "provider_error" if status >= 500 else "invalid_request_error"
        self.code = upstream_code(status)

    @property
    def reason(self) -> str:
        return self.code  # the server's words may hold the caller's


def reworded(
    status: int, body: bytes, *, provider: str, model: str, path: str
) -> GatewayError | None:
    """What the caller is told instead of `body`, or None: then the body is the server's to word."""
    said = _decoded(body)
    error = said.get("error") if isinstance(said, dict) else None
    worded = isinstance(error, dict) and isinstance(error.get("message"), str)
    permission = isinstance(error, dict) and error.get("type") == "PermissionDeniedError"
    if status < 400:
        return UpstreamError(
            f"The provider {provider!r} redirects (HTTP {status}): its base URL needs correction."
        )
    if status == 401 or (status == 403 and not permission):
        return UpstreamRefusedKey(f"The provider {provider!r} refuses the key Aurora has for it.")
    if worded:
        return None
    if status == 404 and said == {"detail": "Not Found"}:
        return _no_such_route(provider, model, path)
    return Reworded(
        status, _words(said, error) or f"The provider {provider!r} answered HTTP {status}."
    )


def _no_such_route(provider: str, model: str, path: str) -> GatewayError:
    """vLLM registers only the routes that its kind of model can serve."""
    if model:
        return UnsupportedEndpoint(
            f"The model {model!r} does not serve {path}: its vLLM server ({provider!r}) has no such"
            " route, so it is a model of another kind.",
            param="model",
        )
    return Reworded(404, f"The vLLM server {provider!r} has no route {path}.")


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _words(said: Any, error: Any) -> str:
    """The text in one of the bare shapes: {"error": text} or {"detail": text}."""
    words = (
        error if isinstance(error, str) else said.get("detail") if isinstance(said, dict) else None
    )
    return words[:MOST_MESSAGE_CHARACTERS] if isinstance(words, str) else ""
