"""A vLLM server's place taken by the test itself: it accepts, reads and writes when it wants."""

from __future__ import annotations

import re
import socket

from tests.patience import PATIENCE_SECONDS


class RawUpstream:
    """Listens on a port of its own and holds one connection, taken at the first use."""

    def __init__(self, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(timeout_seconds)
        self._timeout_seconds = timeout_seconds
        self._connection: socket.socket | None = None
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"

    @property
    def connection(self) -> socket.socket:
        return self._connection or self.accept()

    def accept(self) -> socket.socket:
        """The next connection, which takes the place of the one held."""
        if self._connection is not None:
            self._connection.close()
        self._connection, _ = self._listener.accept()
        self._connection.settimeout(self._timeout_seconds)
        return self._connection

    def read_head(self) -> bytes:
        """The head of a request, byte by byte so that nothing of the body is taken."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.connection.recv(1)
            assert byte, f"left after {head!r}"
            head += byte
        return head

    def read_call(self) -> bytes:
        """The body of a request that says its length."""
        [length] = re.findall(rb"(?i)\r\ncontent-length: (\d+)", self.read_head())
        return self.read(int(length))

    def read(self, size: int) -> bytes:
        """Exactly so many bytes."""
        data = bytearray()
        while len(data) < size:
            piece = self.connection.recv(size - len(data))
            assert piece, f"left after {len(data)} of {size} bytes"
            data += piece
        return bytes(data)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def left(self) -> bool:
        """Waits for the end of the connection; what still comes before it is thrown away."""
        try:
            while self.connection.recv(65_536):
                pass
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        return True

    def __enter__(self) -> RawUpstream:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._connection is not None:
            self._connection.close()
        self._listener.close()
