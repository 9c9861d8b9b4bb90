"""What crosses, in each direction. Pure.

Everything passes but what `header_names` lists: what belongs to one connection, what carries a
credential or says who somebody is, what Aurora says itself, and what would speak of the network
behind it. Values that hold control characters do not pass either, nor do those that hold a key
which the caller has shown.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Sequence

from gateway.header_names import NO_RULES, Rules, goes_to_client, goes_to_server
from gateway.hops import HEADER as HOPS
from providers import key_headers

Headers = Iterable[tuple[bytes, bytes]]
"""Pairs as ASGI gives them: lower-case names, values as they came."""

LEAST_SECRET_BYTES = 8
"""No usable key is shorter. What libraries send by default, such as `-` or `EMPTY`, stands in the
values of other headers by chance."""
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
SANE_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


def first(headers: Headers, name: bytes) -> bytes | None:
    return next((value for key, value in headers if key == name), None)


def to_upstream(
    headers: Headers,
    authorization: str | None,
    request_id: str,
    rules: Rules = NO_RULES,
    hops: bytes = b"",
) -> list[tuple[bytes, bytes]]:
    """The client's headers as the vLLM server sees them, with the provider's key, not the caller's.
    `hops` are the Auroras that the call has passed through."""
    lowered = [(name.lower(), value) for name, value in headers]
    shown = _secrets(lowered)
    crossing = [
        (name, value)
        for name, value in _of_no_hop(lowered)
        if goes_to_server(name, rules) and not _holds(value, shown)
    ]
    crossing.append((b"accept-encoding", b"identity"))
    crossing.append((b"x-request-id", request_id.encode("ascii")))
    if hops:
        crossing.append((HOPS, hops))
    if authorization is not None:
        crossing.append((b"authorization", authorization.encode()))
    return crossing


def to_client(headers: Headers, rules: Rules = NO_RULES) -> list[tuple[bytes, bytes]]:
    """The vLLM server's headers as the client sees them."""
    lowered = [(name.lower(), value) for name, value in headers]
    return [pair for pair in _of_no_hop(lowered) if goes_to_client(pair[0], rules)]


def request_id(headers: Headers) -> str:
    """The client's X-Request-Id if it is sane: 1 to 128 visible ASCII characters; else a new one.
    One that holds the caller's key would tell it to the log and to the server."""
    pairs = list(headers)
    given = first(pairs, b"x-request-id")
    is_sane = SANE_REQUEST_ID.fullmatch(given or b"")
    if given is not None and is_sane and not _holds(given, _secrets(pairs)):
        return given.decode("ascii")
    return str(uuid.uuid4())


def _secrets(headers: Headers) -> list[bytes]:
    """What the caller shows as a key."""
    shown = (secret.encode("latin-1") for secret in key_headers.secrets(headers))
    return [secret for secret in shown if len(secret) >= LEAST_SECRET_BYTES]


def _holds(value: bytes, secrets: Sequence[bytes]) -> bool:
    return any(secret in value for secret in secrets)


def _of_no_hop(lowered: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Those that can be sent on at all."""
    named = _named_by_connection(lowered)
    return [
        (name, value)
        for name, value in lowered
        if name not in named and _CONTROL.search(value) is None
    ]


def _named_by_connection(headers: Headers) -> frozenset[bytes]:
    """Headers that `Connection` declares to be for this connection only."""
    return frozenset(
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    )
