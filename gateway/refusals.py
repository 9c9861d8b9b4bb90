"""What a vLLM server answers with an error: relayed as it is, or put into the client's. Pure."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from gateway.abilities import Ability
from gateway.dialects import Dialect
from gateway.endpoints import TOKENIZER
from gateway.errors import GatewayError, MissingRoute, UpstreamError, UpstreamRefusedKey
from gateway.headers import first

MOST_BYTES = 2**20
"""A longer error body is not read."""
MOST_MESSAGE_CHARACTERS = 2000
SPOKEN_BY_VLLM = frozenset({Dialect.OPENAI, Dialect.RESPONSES})

BUSY, FAILING, STOPPED, MISCONFIGURED = "busy", "failing", "stopped", "misconfigured"
LOOPING = "looping"
"""The server is an Aurora that the call has been at before. It executed nothing, and works."""
OF_THE_CALL = "of the call"
"""Not of the server, though said within a stream: every other would say the same."""
OF_CALLERS = frozenset({"BadRequestError", "invalid_request_error"})
"""Types of errors, in vLLM's words and in Anthropic's."""
OF_STATUS = {429: BUSY, 502: FAILING, 503: FAILING, 504: FAILING, 508: LOOPING}
"""Statuses by which a server says that another may well take the call."""
MOST_RETRY_AFTER_DIGITS = 6
OPTIONAL_ROUTES = {TOKENIZER: "it was started without --enable-tokenizer-info-endpoint"}
"""Why a server lacks a route that any kind of model can have."""
_LACKING = {
    Ability.IMAGES: re.compile(
        r"\S{1,500} is not a multimodal model|At most 0 image\(s\) may be provided in one prompt\.?"
    ),
    Ability.THINKING_BUDGET: re.compile(r"thinking_token_budget is set but .*"),
    Ability.EFFORT: re.compile(
        r"reasoning_effort=\S{1,40} is not supported by .*"
        r"|1 validation error:\s*\{(?:'type': '\w+', )?'loc': \(?'body(?:\.|', ')reasoning_effort'.*",
        re.DOTALL,
    ),
}
"""How a server words, in a 400, that its model cannot do what a call asks: the whole message. Some
messages quote the caller, who must not decide what other callers' calls go without."""
ENGINE_IS_DEAD = b"EngineCore encountered an issue"
"""What vLLM's HTTP server says with a 500 once the process that computes has died."""
UNKNOWN_MODEL = re.compile(r"The model `.*` does not exist", re.DOTALL)
_ABORTED = re.compile(rb'"finish_reason": ?"abort"')


class Refused(Exception):
    """A server did not take the call, in a way that says nothing of the call itself: another
    server may be asked. Nothing has gone to the client yet.

    Where none is left, `error` is what the client is told; if that is None, the answer as it came.
    """

    def __init__(
        self,
        why: str,
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        error: GatewayError | None = None,
    ) -> None:
        super().__init__(f"{why}: HTTP {status}")
        self.why, self.status, self.headers, self.body = why, status, headers, body
        self.error = error

    @property
    def code(self) -> str:
        """For the log, where it is handed on."""
        if self.why == STOPPED:
            return "upstream_stopped"
        return "upstream_error" if self.status < 400 else upstream_code(self.status)

    @property
    def retry_after_seconds(self) -> float | None:
        """What the server asked for in seconds; a date is not understood."""
        said = first(self.headers, b"retry-after") or b""
        is_number = said.isdigit() and len(said) <= MOST_RETRY_AFTER_DIGITS
        return float(said) if is_number else None


def was_aborted(body: bytes) -> bool:
    """Whether a plain chat or completion was cut short by a server that is stopping. Within a JSON
    string the quotes would be escaped."""
    return _ABORTED.search(body) is not None


def why_another(status: int, body: bytes) -> str:
    """Why another server may be asked after this answer; empty if it should not be."""
    if status == 500 and ENGINE_IS_DEAD in body:
        return FAILING
    if status == 404 and _is_unknown_model(_decoded(body)):
        return MISCONFIGURED
    return OF_STATUS.get(status, "")


def why_of_event(data: bytes) -> str:
    """What the error says with which a stream begins, where a status would have said it."""
    said = _decoded(data)
    error = said.get("error") if isinstance(said, dict) else None
    details = error if isinstance(error, dict) else {}
    code = details.get("code")
    if code == 429:
        return BUSY
    is_of_caller = isinstance(code, int) and 400 <= code < 500
    return OF_THE_CALL if is_of_caller or details.get("type") in OF_CALLERS else FAILING


def _is_unknown_model(said: Any) -> bool:
    """Aurora sends only names that the server has listed: it serves another model by now."""
    message = _message(said)
    return message is not None and UNKNOWN_MODEL.match(message) is not None


def _message(said: Any) -> str | None:
    error = said.get("error") if isinstance(said, dict) else None
    message = error.get("message") if isinstance(error, dict) else None
    return message if isinstance(message, str) else None


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


class Lacks(Reworded):
    """The server's model cannot do something that the call could do without. Nothing was executed."""

    def __init__(self, ability: Ability, status: int, message: str) -> None:
        super().__init__(status, message[:MOST_MESSAGE_CHARACTERS])
        self.ability = ability


def lack(status: int, body: bytes) -> Lacks | None:
    """What the server lacks, if that is why it refuses."""
    message = _message(_decoded(body)) if status == 400 else None
    if message is None:
        return None
    found = (ability for ability, words in _LACKING.items() if words.fullmatch(message))
    return next((Lacks(ability, status, message) for ability in found), None)


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


def in_its_words(status: int, body: bytes) -> Reworded:
    """What the server says, for a client that can be told no status any more."""
    said = _decoded(body)
    error = said.get("error") if isinstance(said, dict) else None
    if isinstance(error, dict) and isinstance(error.get("message"), str):
        return _in_its_words(status, error)
    return Reworded(status, _words(said, error) or f"The server answered HTTP {status}.")


def no_such_route(provider: str, model: str, path: str) -> str:
    """vLLM registers only the routes that its kind of model can serve."""
    why = OPTIONAL_ROUTES.get(path, "it is a model of another kind")
    return (
        f"The model {model!r} does not serve {path}: its vLLM server ({provider!r}) has no such"
        f" route, so {why}."
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
