"""What crosses, in each direction. Pure.

Everything passes but what is named here: what belongs to one connection (RFC 9110, 7.6.1), what
carries a credential, what Aurora says itself, and what would speak of the network behind it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable

Headers = Iterable[tuple[bytes, bytes]]
"""Pairs as ASGI gives them: lower-case names, values as they came."""

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"proxy-authenticate"}
    | {b"proxy-authorization", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
CREDENTIALS = frozenset(
    {b"authorization", b"x-api-key", b"api-key", b"cookie", b"set-cookie", b"x-goog-api-key"}
)
CREDENTIAL_SUFFIXES = (b"-token", b"-secret", b"-api-key", b"-subscription-key", b"-password")
"""As x-auth-token, cf-access-client-secret or x-goog-api-key: nobody's business but the sender's."""
NOT_SENT_UPSTREAM = (
    HOP_BY_HOP
    | CREDENTIALS
    | {b"host", b"content-length", b"accept-encoding", b"expect", b"x-request-id"}
    | {b"forwarded", b"via", b"x-real-ip", b"origin", b"referer"}
)
NOT_SENT_BACK = (
    HOP_BY_HOP
    | CREDENTIALS
    | {b"server", b"date", b"www-authenticate", b"x-request-id", b"location", b"alt-svc"}
    | {b"strict-transport-security"}
)
PREFIXES_NOT_SENT_UPSTREAM = (
    *(b"x-forwarded-", b"x-aurora-", b"sec-", b"proxy-"),
    b"x-amzn-sagemaker-",  # to /invocations they name another model, or a session of one server
)
PREFIXES_NOT_SENT_BACK = (b"x-aurora-", b"access-control-")

SANE_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


def first(headers: Headers, name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)


def to_upstream(
    headers: Headers, authorization: str | None, request_id: str
) -> list[tuple[bytes, bytes]]:
    """The client's headers as the vLLM server sees them, with the provider's key, not the caller's."""
    crossing = _crossing(headers, NOT_SENT_UPSTREAM, PREFIXES_NOT_SENT_UPSTREAM)
    crossing.append((b"accept-encoding", b"identity"))
    crossing.append((b"x-request-id", request_id.encode("ascii")))
    if authorization is not None:
        crossing.append((b"authorization", authorization.encode()))
    return crossing


def to_client(headers: Headers) -> list[tuple[bytes, bytes]]:
    """The vLLM server's headers as the client sees them."""
    return _crossing(headers, NOT_SENT_BACK, PREFIXES_NOT_SENT_BACK)


def request_id(headers: Headers) -> str:
    """The client's X-Request-Id if it is sane: 1 to 128 visible ASCII characters; else a new one."""
    given = first(headers, b"x-request-id")
    if given is not None and SANE_REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return str(uuid.uuid4())


def _crossing(
    headers: Headers, dropped: frozenset[bytes], prefixes: tuple[bytes, ...]
) -> list[tuple[bytes, bytes]]:
    lowered = [(name.lower(), value) for name, value in headers]
    named = _named_by_connection(lowered)
    return [
        (name, value)
        for name, value in lowered
        if name not in dropped
        and name not in named
        and not name.startswith(prefixes)
        and not name.endswith(CREDENTIAL_SUFFIXES)
    ]


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    """Headers that `Connection` declares to be for this connection only."""
    return frozenset(
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    )
