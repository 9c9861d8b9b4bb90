"""The head of an HTTP/1 request: bytes to a checked value. Pure (RFC 9112; RFC 9110 section 5.5)."""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

MAX_HEADERS = 200
MAX_PATH_BYTES = 8 * 1024
"""Without the query. To decode a path of 64 KiB would hold all calls up for 14 ms."""

_REQUEST_LINE = re.compile(rb"([-!#$%&'*+.^_`|~0-9A-Za-z]+) ([^ ]+) HTTP/1\.([01])")
_TOKEN_BYTES = b"-!#$%&'*+.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
_NOT_IN_A_PATH = re.compile(rb"[^\x21-\x7e]|#")
# Control characters but tab; what is beyond ASCII is legal in a value (RFC 9110 section 5.5).
_FORBIDDEN_BYTES = bytes(c for c in range(0x20) if c not in b"\t\r\n") + b"\x7f"
_MAX_LENGTH_DIGITS = 18
_DECIDING = frozenset(
    (b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade")
)

Headers = list[tuple[bytes, bytes]]


class BadHead(Exception):
    """A head that is not answered by the application: `status` and `message` are for the client."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Head(NamedTuple):
    """A request's head. `body_bytes` is None for a chunked body; header names are lower case."""

    method: str
    raw_path: bytes
    query_string: bytes
    http_version: str
    headers: Headers
    body_bytes: int | None
    keep_alive: bool
    expects_continue: bool
    websocket: bool


def parse_head(block: bytes) -> Head:
    """Parse what came before the empty line. Headers with `_` in their name are dropped
    (CVE-2015-0219). Host must be there once, in HTTP/1.0 at most once (RFC 9112, 3.2).
    Raises BadHead."""
    lines = block.split(b"\r\n")
    _check_bytes(block, lines)
    method, target, minor = _request_line(lines[0])
    raw_path, _, query_string = _origin_form(target).partition(b"?")
    if len(raw_path) > MAX_PATH_BYTES:
        raise BadHead(f"The path is over {MAX_PATH_BYTES} bytes", 414)
    headers, deciding, hosts = _headers(lines)
    newest = minor == b"1"
    if hosts > 1 or (newest and not hosts):
        raise BadHead("The Host header must be given, once")
    return Head(
        method=method.decode(),
        raw_path=raw_path,
        query_string=query_string,
        http_version="1.1" if newest else "1.0",
        headers=headers,
        body_bytes=_body_bytes(deciding, newest) if deciding else 0,
        keep_alive=newest and not _names(deciding, b"connection", b"close"),
        expects_continue=newest and _names(deciding, b"expect", b"100-continue"),
        websocket=method == b"GET" and _names(deciding, b"upgrade", b"websocket"),
    )


def _check_bytes(block: bytes, lines: list[bytes]) -> None:
    breaks = len(lines) - 1
    if block.count(b"\r") != breaks or block.count(b"\n") != breaks:
        raise BadHead("The head holds a carriage return or a line feed that ends no line")
    if len(block.translate(None, _FORBIDDEN_BYTES)) != len(block):
        raise BadHead("The head holds a control character")
    if breaks > MAX_HEADERS:
        raise BadHead(f"There are more than {MAX_HEADERS} headers", 431)


def _request_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    matched = _REQUEST_LINE.fullmatch(line)
    if matched is None:
        raise BadHead("The request line is not 'METHOD TARGET HTTP/1.1'")
    method, target, minor = matched.groups()
    if _NOT_IN_A_PATH.search(target):
        raise BadHead("The request target holds characters that must be percent-encoded")
    return method, target, minor


def _origin_form(target: bytes) -> bytes:
    """`/path?query`, also for a target that repeats scheme and host, as proxies send it."""
    if target.startswith(b"/") or target == b"*":
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise BadHead("The request target must be a path that starts with '/'")
    path = rest[re.search(rb"[/?]|$", rest).start() :]  # type: ignore[union-attr] # `$` matches
    return path if path.startswith(b"/") else b"/" + path


def _headers(lines: list[bytes]) -> tuple[Headers, dict[bytes, list[bytes]], int]:
    """All headers, those that decide about the body and the connection, and how many are Host."""
    headers: Headers = []
    deciding: dict[bytes, list[bytes]] = {}
    hosts = 0
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or not name or name.translate(None, _TOKEN_BYTES):
            _refuse_header(line)
        if b"_" in name:
            continue
        value = value.strip(b" \t")
        headers.append((name, value))
        if name in _DECIDING:
            deciding.setdefault(name, []).append(value)
        elif name == b"host":
            hosts += 1
    return headers, deciding, hosts


def _refuse_header(line: bytes) -> NoReturn:
    if line[:1] in (b" ", b"\t"):
        raise BadHead("A header is folded over more than one line")
    if b":" not in line:
        raise BadHead("A header line has no colon")
    raise BadHead("A header name is empty or holds characters that no header name may hold")


def _body_bytes(deciding: dict[bytes, list[bytes]], newest: bool) -> int | None:
    lengths = deciding.get(b"content-length", ())
    codings = deciding.get(b"transfer-encoding", ())
    if lengths and codings:
        raise BadHead("Content-Length and Transfer-Encoding are both given")
    if len(lengths) > 1:
        raise BadHead("Content-Length is given more than once")
    if lengths:
        if not lengths[0].isdigit() or len(lengths[0]) > _MAX_LENGTH_DIGITS:
            raise BadHead("Content-Length is not a number of bytes")
        return int(lengths[0])
    if not codings:
        return 0
    if not newest or len(codings) > 1 or codings[0].lower() != b"chunked":
        raise BadHead("Transfer-Encoding is not 'chunked', once, in HTTP/1.1")
    return None


def _names(deciding: dict[bytes, list[bytes]], name: bytes, token: bytes) -> bool:
    return any(
        token == part.strip(b" \t")
        for value in deciding.get(name, ())
        for part in value.lower().split(b",")
    )
