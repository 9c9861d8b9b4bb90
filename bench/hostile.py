"""A server that sends what is hard to take: the model that a call names says how it is answered."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bench.mock import (
    ACCEPTING,
    EVENTS_AT_END,
    NOT_FOUND,
    PIECE,
    SESSION_HEAD,
    STREAM_HEAD,
    answer,
    chunk,
    event,
)

MIB = 2**20
CHUNKS, PINGS, EVENTS, LARGE_BYTES = 200_000, 200_000, 5000, 15 * MIB
_MODEL = re.compile(rb'"model": ?"(\w+)"|[?&]model=(?:vllm/)?(\w+)')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_KEY = re.compile(rb"\r\nsec-websocket-key: *(\S+)", re.IGNORECASE)
_ENDED = (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError)
PING, CLOSE = b"\x89\x00", b"\x88\x02\x03\xe8"
_SAID = (
    b'{"id":"c","choices":[{"index":0,"message":{"role":"assistant","content":"%b"},'
    b'"finish_reason":"stop"}]}'
)
_END = b"".join(map(chunk, EVENTS_AT_END)) + b"0\r\n\r\n"


def _bytes() -> bytes:
    said = (event(PIECE) * (CHUNKS // len(event(PIECE)) + 1))[:CHUNKS]
    return STREAM_HEAD + b"".join(chunk(bytes([byte])) for byte in said) + chunk(b"\n\n") + _END


def _event() -> bytes:
    large = event(PIECE).replace(b" day", b'\\"' * (LARGE_BYTES // 2))
    return STREAM_HEAD + chunk(large) + _END


ANSWERS: dict[bytes, Callable[[], bytes]] = {
    b"plain": lambda: answer(_SAID % b"Hi"),
    b"bytes": _bytes,
    b"events": lambda: STREAM_HEAD + chunk(event(PIECE) * EVENTS) + _END,
    b"event": _event,
    b"quotes": lambda: answer(_SAID % (b'\\"' * (LARGE_BYTES // 2))),
    b"pings": lambda: NOT_FOUND,
}
"""By the model's name."""


@asynccontextmanager
async def listening() -> AsyncIterator[int]:
    """The port of the server."""
    known = {model: made() for model, made in ANSWERS.items()}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(*_ENDED):
            await _conversation(reader, writer, known)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _conversation(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, known: dict[bytes, bytes]
) -> None:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        if key := _KEY.search(head):
            await _session(key[1], _named(head), reader, writer)
            return
        writer.write(_cards() if head.startswith(b"GET /v1/models") else _said(head, body, known))
        await writer.drain()


def _named(asked: bytes) -> bytes:
    found = _MODEL.search(asked)
    return (found[1] or found[2]) if found else b""


def _said(head: bytes, body: bytes, known: dict[bytes, bytes]) -> bytes:
    asked = body[:1024] + body[-1024:]
    return known.get(_named(asked), NOT_FOUND) if b" /v1/chat/" in head else NOT_FOUND


def _cards() -> bytes:
    cards = [{"id": model.decode(), "object": "model"} for model in ANSWERS]
    return answer(json.dumps({"object": "list", "data": cards}).encode())


async def _session(
    key: bytes, model: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Pings without a pause for the model `pings`; then the client ends it."""
    writer.write(SESSION_HEAD % base64.b64encode(hashlib.sha1(key + ACCEPTING).digest()))
    if model == b"pings":
        writer.write(PING * PINGS)
        await reader.readexactly(6 * PINGS)  # a masked pong for each
        writer.write(CLOSE)
    while await reader.read(MIB):
        pass
