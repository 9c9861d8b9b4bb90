"""A vLLM server that costs next to nothing, so that what is measured is what stands before it.

Answers every chat completion with the same bytes; with `"stream": true`, with as many chunks as
`max_tokens` says, one each `--interval-ms`, the end and the usage after them. It takes one request at a time on a connection, as
gateways send them, and refuses bodies without a length.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import json
import re
import time
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

MODEL = "mock-model"
CHUNKS_UNASKED = 400
KEPT_BYTES = 64 * 1024  # of a request; the rest of a longer body is read and dropped

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM = re.compile(rb'"stream"\s*:\s*true')
_NUMBER = re.compile(rb"[?&]number=(\d+)")
_KEY = re.compile(rb"\r\nsec-websocket-key: *(\S+)", re.IGNORECASE)
_MAX_TOKENS = re.compile(rb'"max_(?:completion_)?tokens"\s*:\s*(\d+)')


def answer(body: bytes, status: str = "200 OK") -> bytes:
    head = f"HTTP/1.1 {status}\r\nserver: mock\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n".encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(value: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(value, separators=(",", ":")).encode() + b"\n\n"


_ABOUT = {"id": "chatcmpl-8f2a6c1e9b7d4053", "created": 1764000000, "model": MODEL}
COMPLETION = {
    **_ABOUT,
    "object": "chat.completion",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "It is a fine day for a walk."},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 16, "completion_tokens": 9, "total_tokens": 25},
}
PIECE = {
    **_ABOUT,
    "object": "chat.completion.chunk",
    "choices": [
        {"index": 0, "delta": {"content": " day"}, "logprobs": None, "finish_reason": None}
    ],
}
LAST_PIECE = {
    **PIECE,
    "choices": [{"index": 0, "delta": {"content": ""}, "logprobs": None, "finish_reason": "stop"}],
}
USAGE = {**PIECE, "choices": [], "usage": COMPLETION["usage"]}
CARD = {"id": MODEL, "object": "model", "created": 1764000000, "owned_by": "vllm", "root": MODEL}

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nserver: mock\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
ACCEPTING = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
SESSION_HEAD = (
    b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-accept: %b\r\n\r\n"
)
STREAM_CHUNK = chunk(event(PIECE))
EVENTS_AT_END = (event(LAST_PIECE), event(USAGE), b"data: [DONE]\n\n")
STREAM_END = b"".join(map(chunk, EVENTS_AT_END)) + b"0\r\n\r\n"
PLAIN = answer(json.dumps(COMPLETION).encode())
NOT_FOUND = answer(b'{"detail":"Not Found"}', "404 Not Found")
LENGTH_REQUIRED = answer(b'{"detail":"Length Required"}', "411 Length Required")
FIXED = {
    b"GET /health": answer(b""),
    b"GET /v1/models": answer(json.dumps({"object": "list", "data": [CARD]}).encode()),
}


@dataclass(slots=True)
class Counts:
    """What the mock saw since it started; `open_streams` are those under way now."""

    calls: int = 0
    streams: int = 0
    chunks: int = 0
    open_streams: int = 0


Left = dict[int, float]
"""When a stream was left that was to have so many chunks, or a session of this number, by
`time.monotonic`."""


class Exchange(asyncio.Protocol):
    """One connection. A stream's timer dies with it."""

    _transport: asyncio.Transport

    def __init__(self, counts: Counts, left: Left, interval_seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._counts, self._left = counts, left
        self._number = 0
        self._in_session = False
        self._interval = interval_seconds
        self._kept = b""
        self._unread = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()
            self._counts.open_streams -= 1
            self._note_left()
        elif self._in_session:
            self._note_left()

    def _note_left(self) -> None:
        """The first news of it counts: a Close, or the end of the connection."""
        self._left.setdefault(self._number, time.monotonic())

    def data_received(self, data: bytes) -> None:
        if self._in_session:
            self._note_left()  # the clients of the bench say nothing before they leave
            self._transport.close()
        elif self._unread:
            self._unread -= len(data)
            self._kept += data[: max(0, KEPT_BYTES - len(self._kept))]
        else:
            self._kept = self._kept + data if self._kept else data
            end = self._kept.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._kept, 0, end + 2)
            self._unread = (int(length[1]) if length else 0) - (len(self._kept) - end - 4)
        if self._unread <= 0:
            request, self._kept, self._unread = self._kept, b"", 0
            self._respond(request)

    def _respond(self, request: bytes) -> None:
        line = request[: request.find(b" HTTP/1.")]
        if line == b"POST /v1/chat/completions":
            self._complete(request)
        elif line == b"GET /stats":
            self._transport.write(answer(json.dumps(asdict(self._counts)).encode()))
        elif line.startswith(b"GET /v1/realtime?"):
            self._open_session(request)
        elif line == b"GET /left":
            self._transport.write(answer(json.dumps(self._left).encode()))
        else:
            self._transport.write(FIXED.get(line, NOT_FOUND))

    def _open_session(self, request: bytes) -> None:
        number, key = _NUMBER.search(request), _KEY.search(request)
        if number is None or key is None:
            self._transport.write(NOT_FOUND)
            return
        self._number, self._in_session = int(number[1]), True
        accepted = base64.b64encode(hashlib.sha1(key[1] + ACCEPTING).digest())
        self._transport.write(SESSION_HEAD % accepted)

    def _complete(self, request: bytes) -> None:
        self._counts.calls += 1
        if not _LENGTH.search(request):
            self._transport.write(LENGTH_REQUIRED)
        elif _STREAM.search(request):
            wanted = _MAX_TOKENS.search(request)
            self._stream(int(wanted[1]) if wanted else CHUNKS_UNASKED)
        else:
            self._transport.write(PLAIN)

    def _stream(self, chunks: int) -> None:
        self._counts.streams += 1
        self._counts.open_streams += 1
        self._counts.chunks += 1
        self._number = chunks
        self._transport.write(STREAM_HEAD + STREAM_CHUNK)
        self._wait(self._loop.time(), 1, chunks)

    def _wait(self, started: float, sent: int, chunks: int) -> None:
        # By the clock of the stream's start: a late chunk does not put off the next ones.
        due = started + sent * self._interval
        self._timer = self._loop.call_at(due, self._tick, started, sent, chunks)

    def _tick(self, started: float, sent: int, chunks: int) -> None:
        if sent < chunks:
            self._counts.chunks += 1
            self._transport.write(STREAM_CHUNK)
            self._wait(started, sent + 1, chunks)
        else:
            self._timer = None
            self._counts.open_streams -= 1
            self._transport.write(STREAM_END)


async def listen(port: int, interval_seconds: float) -> asyncio.Server:
    """A mock on the loopback address; port 0 takes a free one. The caller closes it."""
    counts, left = Counts(), Left()
    loop = asyncio.get_running_loop()
    return await loop.create_server(
        lambda: Exchange(counts, left, interval_seconds), "127.0.0.1", port, backlog=4096
    )


async def _serve(port: int, interval_seconds: float) -> None:
    async with await listen(port, interval_seconds) as server:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--interval-ms", type=float, default=50.0)
    given = parser.parse_args()
    uvloop.run(_serve(given.port, given.interval_ms / 1000))


if __name__ == "__main__":
    main()
