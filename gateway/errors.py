"""Every refusal Aurora words itself: one tree. `dialects` renders it for clients of other dialects.

What varies is the message; status, type and code belong to the class. An upstream's own error is
not here: it is relayed as the server worded it (see `relay`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from typing import Self

import msgspec

MOST_REASON_CHARACTERS = 300
"""Of what the log says of one call."""


class GatewayError(Exception):
    """An error the caller is told about. `str(error)` is the message it reads."""

    status = 500
    type = "server_error"
    code = "internal_error"
    param: str | None = None
    kept: Sequence[tuple[bytes, bytes]] = ()
    """Headers of a server's answer that this error stands in for, such as Retry-After."""

    def keeping(self, headers: Sequence[tuple[bytes, bytes]]) -> Self:
        self.kept = headers
        return self

    @property
    def headers(self) -> Mapping[str, str]:
        return {}

    @property
    def reason(self) -> str:
        """What the log says. Nothing of a body may be in it."""
        return f"{self.code}: {str(self)[:MOST_REASON_CHARACTERS]}"


class InvalidRequest(GatewayError):
    status, type, code = 400, "invalid_request_error", "invalid_request"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param

    @property
    def reason(self) -> str:
        """The message may quote what `param` holds: then the log says only which it is."""
        return _named(self.code, self.param) if self.param else super().reason


class InvalidJson(InvalidRequest):
    code = "invalid_json"


class InvalidPath(InvalidRequest):
    code = "invalid_path"


class UnsupportedEncoding(InvalidRequest):
    status, code = 415, "unsupported_content_encoding"


class UnsupportedEndpoint(InvalidRequest):
    """The model exists, but its server has no such route."""

    code = "unsupported_endpoint"


class MissingRoute(UnsupportedEndpoint):
    """The server said so just now. Nothing was executed: the call may go another way."""


class NotStored(InvalidRequest):
    """What the call asks for needs responses to be kept, and here none are."""

    code = "not_stored"


class Unauthorized(GatewayError):
    status, type, code = 401, "authentication_error", "invalid_api_key"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"www-authenticate": 'Bearer realm="aurora"'}


class NotPermitted(GatewayError):
    status, type, code = 403, "permission_error", "not_permitted"


class UnknownPath(GatewayError):
    status, type, code = 404, "invalid_request_error", "unknown_path"


class UnknownModel(GatewayError):
    status, type, code, param = 404, "invalid_request_error", "model_not_found", "model"


class UnknownProvider(GatewayError):
    status, type, code = 404, "invalid_request_error", "provider_not_found"


class Unknown(GatewayError):
    """What was asked for by its id is not there, or another caller's: the two look alike."""

    status, type, code = 404, "invalid_request_error", "not_found"

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param

    @property
    def reason(self) -> str:
        return _named(self.code, self.param)


class UnknownThread(Unknown):
    """Nobody here keeps a conversation of Anthropic's; its clients then send all of it."""

    code = "thread_not_found"


class UnknownResponse(Unknown):
    code = "response_not_found"


class UnknownConversation(Unknown):
    code = "conversation_not_found"


class UnknownItem(Unknown):
    code = "item_not_found"


class WrongMethod(GatewayError):
    status, type, code = 405, "invalid_request_error", "method_not_allowed"

    def __init__(self, allowed: Iterable[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        super().__init__(f"Only {self.allowed} can be used here.")

    @property
    def headers(self) -> Mapping[str, str]:
        return {"allow": self.allowed}


class SlowUpload(GatewayError):
    status, type, code = 408, "invalid_request_error", "upload_stalled"


class BodyTooLarge(GatewayError):
    status, type, code = 413, "invalid_request_error", "body_too_large"


class HeadTooLarge(GatewayError):
    status, type, code = 431, "invalid_request_error", "head_too_large"


class TooManyInBackground(GatewayError):
    status, type, code = 429, "rate_limit_error", "too_many_in_background"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


class TooBusy(GatewayError):
    """Every server that could take the call has as many as it may, and so many wait already, or
    this one has waited for long enough."""

    status, type, code = 429, "rate_limit_error", "servers_busy"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


class NotImplementedHere(GatewayError):
    status, type, code = 501, "server_error", "not_implemented"


class NotReady(GatewayError):
    status, type, code = 503, "server_error", "not_ready"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


class MemoryFull(GatewayError):
    """What calls hold in this process is as much as it may be. Nothing was sent."""

    status, type, code = 503, "server_error", "memory_full"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


STORAGE_FULL = (
    "The responses and conversations that are stored for this key take as much as they may "
    "(AURORA_STORED_BYTES_PER_KEY). Delete some, or have the limit raised."
)


class StorageFull(GatewayError):
    """The caller's stored responses and conversations take as much as they may."""

    status, type, code = 429, "rate_limit_error", "storage_full"


class ModelsUnknown(GatewayError):
    """Nobody known serves the model, and a server that may has not said yet what it serves."""

    status, type, code, param = 503, "server_error", "models_unknown", "model"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "5"}


class Stopping(GatewayError):
    """This process is being stopped, and the call was not finished in the time that calls have."""

    status, type, code = 503, "server_error", "stopping"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


class StateUnavailable(GatewayError):
    """The database that keeps responses and conversations does not answer."""

    status, type, code = 503, "server_error", "state_unavailable"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


class DatabaseUnavailable(GatewayError):
    """The admin and the management API are nothing without it."""

    status, type, code = 503, "server_error", "database_unavailable"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "5"}


class DatabaseBusy(GatewayError):
    """It works, but on other changes: the same may well succeed soon."""

    status, type, code = 503, "server_error", "database_busy"

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": "1"}


class DatabaseFull(GatewayError):
    """It works, but its disk is full."""

    status, type, code = 507, "server_error", "database_full"


class SchemaMismatch(GatewayError):
    """It works, but its tables are of another release."""

    status, type, code = 500, "server_error", "schema_mismatch"


class UpstreamError(GatewayError):
    """The vLLM server, not the caller, is at fault."""

    status, type, code = 502, "provider_error", "upstream_error"
    may_be_repeated = True

    @property
    def headers(self) -> Mapping[str, str]:
        """OpenAI's clients repeat 5xx by themselves unless this header tells them not to."""
        return {} if self.may_be_repeated else {"x-should-retry": "false"}


class UpstreamUnreachable(UpstreamError):
    """Nothing was sent: another provider may be tried."""

    code = "upstream_unreachable"


class NoServer(UpstreamError):
    """Nothing was sent: each server of the model is failing, or draining."""

    status, code = 503, "no_server"

    def __init__(self, message: str, *, seconds: float = 1.0) -> None:
        super().__init__(message)
        self.seconds = seconds

    @property
    def headers(self) -> Mapping[str, str]:
        return {"retry-after": str(max(1, ceil(self.seconds)))}


class UpstreamRefusedKey(UpstreamError):
    code, may_be_repeated = "upstream_auth", False


class UpstreamBroke(UpstreamError):
    """Sent, perhaps executed, and the answer never came or is none: the client should not repeat
    it. Aurora itself may ask another server while the client has seen nothing."""

    code, may_be_repeated = "upstream_broke", False


class UpstreamStale(UpstreamBroke):
    """A kept-alive connection ended as soon as it was given the call. Most likely the server had
    closed it before; that it did not begin on the call is not proved."""


class UpstreamUnreadable(UpstreamBroke):
    """The answer came and cannot be handed on; another server's would be no better."""


class LoopDetected(UpstreamError):
    """The call has been here before. No server would be another way out."""

    status, code, may_be_repeated = 508, "loop_detected", False


class UpstreamTimeout(UpstreamError):
    """Sent, perhaps executed, unanswered: do not repeat."""

    status, code, may_be_repeated = 504, "upstream_timeout", False


class UpstreamConnectTimeout(UpstreamUnreachable):
    status, code = 504, "upstream_connect_timeout"


class ClientGone(Exception):
    """The client left. There is nobody to answer."""


def _named(code: str, param: str | None) -> str:
    return f"{code}: {param[:MOST_REASON_CHARACTERS]}" if param else code


def shape(error: GatewayError) -> bytes:
    """The one error shape, OpenAI's, as JSON bytes."""
    return shaped(str(error), type=error.type, code=error.code, param=error.param)


def shaped(message: str, *, type: str, code: str, param: str | None = None) -> bytes:
    body = {"message": message, "type": type, "param": param, "code": code}
    return msgspec.json.encode({"error": body})
