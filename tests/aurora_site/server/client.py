"""A client that speaks raw bytes, and reads answers strictly."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.patience import PATIENCE_SECONDS


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/json"
        document = json.loads(self.body)
        assert set(document) == {"error"}
        assert set(document["error"]) == {"message", "type", "param", "code"}
        return document["error"]


class Client:
    """One connection. `answer()` raises EOFError where the server cut an answer short."""

    def __init__(self, url: str, receive_buffer_bytes: int | None = None, source: str = "") -> None:
        """`source`: the address to come from."""
        address = urlsplit(url)
        self.socket = socket.socket()
        if source:
            self.socket.bind((source, 0))
        if receive_buffer_bytes:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.socket.settimeout(PATIENCE_SECONDS)
        try:
            self.socket.connect((address.hostname, address.port))
        except OSError:
            self.socket.close()
            raise
        self._unread = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Client:
        self.socket.sendall(data)
        return self

    def answer(self, to_head: bool = False) -> Answer:
        head = self._until(b"\r\n\r\n")
        first, *lines = head.decode("latin1").split("\r\n")
        pairs = [line.split(": ", 1) for line in lines]
        headers = {name.lower(): value for name, value in pairs}
        assert len(headers) == len(pairs), "a header came twice"
        status = int(first.split(" ")[1])
        bodyless = to_head or status in (100, 204, 304)
        return Answer(status, headers, b"" if bodyless else self._body(headers))

    def closed(self) -> bool:
        """True once the server has ended the connection; what it still sends is a failure."""
        try:
            return self._unread + self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self._exactly(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            return self._rest()
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"
        return body

    def _more(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError(self._unread[:200])
        self._unread += data

    def _until(self, end: bytes) -> bytes:
        while end not in self._unread:
            self._more()
        found, self._unread = self._unread.split(end, 1)
        return found

    def _exactly(self, count: int) -> bytes:
        while len(self._unread) < count:
            self._more()
        found, self._unread = self._unread[:count], self._unread[count:]
        return found

    def _rest(self) -> bytes:
        try:
            while True:
                self._more()
        except EOFError:
            found, self._unread = self._unread, b""
            return found
