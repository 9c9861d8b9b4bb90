"""A raw HTTP/1.1 client for tests: it sends exactly the bytes it is given, keeps every HTTP chunk."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from tests.patience import PATIENCE_SECONDS

Pairs = tuple[tuple[str, str], ...]
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 seconds: close sends RST instead of FIN


@dataclass(frozen=True)
class Head:
    """The start line in three parts (missing ones empty) and the header fields as they were sent."""

    start: tuple[str, str, str]
    pairs: Pairs

    @property
    def headers(self) -> dict[str, str]:
        """By lower-case name; of a repeated field the last one."""
        return {name.lower(): value for name, value in self.pairs}

    @property
    def chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"


@dataclass(frozen=True)
class Answer:
    """An answer read to its end. `chunks` are its HTTP chunks, empty when it was not chunked."""

    status: int
    reason: str
    pairs: Pairs
    headers: dict[str, str]
    body: bytes
    chunks: list[bytes] = field(default_factory=list)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class CutShortError(EOFError):
    """The peer closed before the end of the message. `answer` is what came, when the head did."""

    def __init__(self, answer: Answer | None = None) -> None:
        super().__init__("the connection was closed before the end of the answer")
        self.answer = answer


def request_bytes(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> bytes:
    """A request with these header fields; Host and (for a body) Content-Length unless given."""
    pairs = list(headers)
    given = {name.lower() for name, _ in pairs}
    if "host" not in given:
        pairs.insert(0, ("Host", "aurora.test"))
    if body and not given & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(body))))
    fields = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return f"{method} {target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1") + body


def parse_head(head: bytes) -> Head:
    """A message's head, with or without its empty line."""
    first, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    one, two, three = [*first.split(" ", 2), "", ""][:3]
    split = (line.partition(":") for line in fields)
    return Head((one, two, three), tuple((name, value.strip()) for name, _, value in split))


def read_head(file: BinaryIO) -> Head:
    lines = []
    while (line := file.readline()) != b"\r\n":
        if not line.endswith(b"\r\n"):
            raise CutShortError
        lines.append(line)
    return parse_head(b"".join(lines).removesuffix(b"\r\n"))


def read_chunk(file: BinaryIO) -> bytes:
    """The next HTTP chunk; empty for the last one."""
    size_line = file.readline()
    if not size_line.endswith(b"\r\n"):
        raise CutShortError
    size = int(size_line.partition(b";")[0], 16)
    chunk = file.read(size)
    if len(chunk) < size or file.read(2) != b"\r\n":
        raise CutShortError
    return chunk


def read_chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := read_chunk(file):
        yield chunk


def read_answer(file: BinaryIO, to_head: bool = False) -> Answer:
    """The next final answer, interim ones (1xx) skipped. `to_head`: it answers a HEAD request."""
    head = read_head(file)
    while head.start[1].startswith("1"):
        head = read_head(file)
    parts: list[bytes] = []
    try:
        bodyless = to_head or head.start[1] in ("204", "304")
        for part in () if bodyless else _body_parts(file, head):
            parts.append(part)  # at once: it is wanted when the rest never comes
    except CutShortError:
        raise CutShortError(_answer(head, parts)) from None
    return _answer(head, parts)


def _body_parts(file: BinaryIO, head: Head) -> Iterator[bytes]:
    if head.chunked:
        yield from read_chunks(file)
        return
    length = int(head.headers.get("content-length", -1))
    body = file.read(length)
    yield body
    if len(body) < length:
        raise CutShortError


def _answer(head: Head, parts: list[bytes]) -> Answer:
    _, status, reason = head.start
    chunks = parts if head.chunked else []
    return Answer(int(status), reason, head.pairs, head.headers, b"".join(parts), chunks)


class RawClient:
    """One connection. Every wait is bounded by `timeout_seconds` (TimeoutError); close it."""

    def __init__(
        self,
        host: str,
        port: int,
        timeout_seconds: float = PATIENCE_SECONDS,
        *,
        receive_buffer_bytes: int | None = None,
        source: str = "",
    ) -> None:
        self._socket = socket.socket()
        self._socket.settimeout(timeout_seconds)
        if receive_buffer_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        if source:
            self._socket.bind((source, 0))
        try:
            self._socket.connect((host, port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read_answer(self, to_head: bool = False) -> Answer:
        """The next answer, whole. CutShortError, which has the part that came, or OSError."""
        return read_answer(self._file, to_head)

    def read_head(self) -> Head:
        """Only an answer's (or interim answer's) head, for a test that reads on with read_chunk."""
        return read_head(self._file)

    def read_chunk(self) -> bytes:
        return read_chunk(self._file)

    def read_rest(self) -> bytes:
        """Everything until the peer closes."""
        return self._file.read()

    def half_close(self) -> None:
        """Send FIN; reading goes on."""
        self._socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Leave with RST."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
