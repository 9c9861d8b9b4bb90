"""Every refusal of the management API, in the one error shape.

The gateway words its own; `providers` does not import it, so the shape stands here once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError
from django.http import Http404, HttpResponse
from rest_framework import exceptions

MOST_CHARACTERS = 1000
CODES = {
    400: "invalid_request",
    401: "invalid_api_key",
    403: "not_permitted",
    404: "not_found",
    405: "method_not_allowed",
    406: "not_acceptable",
    409: "conflict",
    412: "precondition_failed",
    413: "body_too_large",
    415: "unsupported_media_type",
    429: "too_many_tests",
}
TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


class Conflict(exceptions.APIException):
    """What is there already, or is over, does not allow it."""

    status_code, default_code = 409, "conflict"


class TooManyTests(exceptions.APIException):
    """As many servers are being asked as may be at once."""

    status_code, default_code = 429, "too_many_tests"
    retry_after_seconds = 5


class InvalidJson(exceptions.ParseError):
    default_code = "invalid_json"


class BodyTooLarge(exceptions.APIException):
    status_code, default_code = 413, "body_too_large"


def answer(error: Exception, context: Mapping[str, Any]) -> HttpResponse | None:
    """REST framework's exception handler. None: a defect, which Django logs and answers with 500.

    Not a Response of the framework: that would be rendered as the client asked the schema to be.
    """
    known = _as_refusal(error)
    if known is None:
        return None
    status, headers = known.status_code, {}
    if header := getattr(known, "auth_header", None):
        headers["WWW-Authenticate"] = header
    if isinstance(known, TooManyTests):
        headers["Retry-After"] = str(known.retry_after_seconds)
    message, param, code = str(known.detail), None, CODES.get(status, "invalid_request")
    if isinstance(known, exceptions.ValidationError):
        reasons = list(_reasons(known.detail))
        message = " ".join(f"{path}: {text}" if path else text for path, text in reasons)
        param = next((path for path, _ in reasons if path), None)
        if "unique" in str(known.get_codes()):
            status, code = 409, CODES[409]
    elif isinstance(known, InvalidJson):
        code = known.default_code
    body = {
        "message": message[:MOST_CHARACTERS],
        "type": TYPES.get(status, "invalid_request_error"),
        "param": param,
        "code": code,
    }
    encoded = msgspec.json.encode({"error": body})
    return HttpResponse(encoded, "application/json", status, headers=headers)


def _as_refusal(error: Exception) -> exceptions.APIException | None:
    """What Django raises beside the framework. Its texts, which may tell too much, are replaced."""
    if isinstance(error, Http404):
        return exceptions.NotFound("There is no such row.")
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, IntegrityError):
        return Conflict("Another change came first, or made this one impossible.")
    return error if isinstance(error, exceptions.APIException) else None


def _reasons(detail: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each reason with the member it speaks of, such as model_ids.0; "" for the whole."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            yield from _reasons(inner, ".".join(filter(None, [path, str(name)])))
    elif isinstance(detail, list):
        for inner in detail:
            yield from _reasons(inner, path)
    else:
        yield path, str(detail)
