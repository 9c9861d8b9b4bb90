"""What a vLLM server answers with an error: relayed as it is, or put into the client's. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.dialects import Dialect
from gateway.errors import GatewayError, MissingRoute, UpstreamError, UpstreamRefusedKey

MOST_BYTES = 2**20
"""A longer error body is not read."""
MOST_SECONDS = 10.0
MOST_MESSAGE_CHARACTERS = 2000
SPOKEN_BY_VLLM = frozenset({Dialect.OPENAI, Dialect.RESPONSES})


def upstream_code(status: int) -> str:
    return f"upstream_{status}"


class Reworded(GatewayError):
    """The server's own status and words, which came in another shape."""

    def __init__(self, status: int, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param = status, param
        self.type = "provider_error" if status >= 500 else "invalid_request_error"
        self.code = upstream_code(status)

    @property
    def reason(self) -> str:
        return self.code  # the server's words may hold the caller's


def reworded(
    status: int,
    body: bytes,
    *,
    provider: str,
    model: str,
    path: str,
    dialect: Dialect = Dialect.OPENAI,
) -> GatewayError | None:
    """What the caller is told instead of `body`, or None: then the body is the server's to word,
    which is in OpenAI's shape or, on some routes of vLLM and for some errors, in Anthropic's."""
    said = _decoded(body)
    error = said.get("error") if isinstance(said, dict) else None
    details: dict[str, Any] = error if isinstance(error, dict) else {}
    permission = details.get("type") == "PermissionDeniedError"
    if status < 400:
        return UpstreamError(
            f"The provider {provider!r} redirects (HTTP {status}): its base URL needs correction."
        )
    if status == 401 or (status == 403 and not permission):
        return UpstreamRefusedKey(f"The provider {provider!r} refuses the key Aurora has for it.")
    if isinstance(details.get("message"), str):
        return None if dialect in SPOKEN_BY_VLLM else _in_its_words(status, details)
    if status == 404 and said == {"detail": "Not Found"}:
        return _no_such_route(provider, model, path)
    return Reworded(
        status, _words(said, error) or f"The provider {provider!r} answered HTTP {status}."
    )


def _in_its_words(status: int, error: dict[str, Any]) -> Reworded:
    param = error.get("param")
    message = error["message"][:MOST_MESSAGE_CHARACTERS]
    return Reworded(status, message, param=param if isinstance(param, str) else None)


def no_such_route(provider: str, model: str, path: str) -> str:
    """vLLM registers only the routes that its kind of model can serve."""
    return (
        f"The model {model!r} does not serve {path}: its vLLM server ({provider!r}) has no such"
        " route, so it is a model of another kind."
    )


def _no_such_route(provider: str, model: str, path: str) -> GatewayError:
    if model:
        return MissingRoute(no_such_route(provider, model, path), param="model")
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
