"""The bytes of an answer: status line, headers, and the server's own refusals. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

import msgspec

STATUS_LINES = {s.value: b"HTTP/1.1 %d %s\r\n" % (s, s.phrase.encode()) for s in HTTPStatus}
LAST_CHUNK = b"0\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SERVER = b"aurora"
JSON = (b"content-type", b"application/json")


@lru_cache(maxsize=2)
def date(now: int) -> bytes:
    """The value of Date (RFC 9110, 6.6.1) at `now`, in whole seconds of Unix time."""
    return formatdate(now, usegmt=True).encode()


def answer_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The head, its empty line included. Raises ValueError where a header would split it."""
    parts = [STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status]
    parts += [b"%b: %b\r\n" % header for header in headers]
    parts.append(b"\r\n")
    head = b"".join(parts)
    if head.count(b"\n") != len(parts) or head.count(b"\r") != len(parts):
        raise ValueError("A response header holds a line break")
    return head


def error_body(message: str, kind: str, code: str) -> bytes:
    """The one shape in which Aurora words an error."""
    return msgspec.json.encode(
        {"error": {"message": message, "type": kind, "param": None, "code": code}}
    )


def refusal(
    status: int,
    message: str,
    request_id: str,
    extra: Iterable[tuple[bytes, bytes]] = (),
    *,
    now: int,
) -> bytes:
    """A whole answer to a request that never became one, after which the connection is closed."""
    kind, code = ("invalid_request_error", "bad_request")
    if status == HTTPStatus.FORBIDDEN:
        kind, code = ("permission_error", "not_permitted")
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        kind, code = ("server_error", "internal_error")
    body = error_body(message, kind, code)
    headers = (
        JSON,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode()),
        (b"server", SERVER),
        (b"date", date(now)),
        (b"connection", b"close"),
        *extra,
    )
    return answer_head(status, headers) + body
