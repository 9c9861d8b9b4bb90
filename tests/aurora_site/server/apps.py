"""Applications, requests and steps that the server's tests share."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Any

from tests.patience import PATIENCE_SECONDS

MIB = 1024 * 1024
POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
STUCK_SECONDS = 0.2
"""A sender that gets rid of nothing for so long is held back."""


async def answer(send, status=200, body=b"ok", headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def read_body(receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError
        parts.append(message["body"])
        if not message["more_body"]:
            return b"".join(parts)


async def echo(scope, receive, send):
    await answer(send, body=await read_body(receive))


async def say_the_target(scope, receive, send):
    await answer(send, body=scope["raw_path"])


async def until_set(event: threading.Event) -> None:
    """Of the test's thread."""
    while not event.is_set():  # noqa: ASYNC110 - it knows no loop
        await asyncio.sleep(0.005)


class Told:
    """What an application saw, awaited from the test's thread."""

    def __init__(self) -> None:
        self.future: Future[Any] = Future()

    def __call__(self, value: Any) -> None:
        self.future.set_result(value)

    def get(self) -> Any:
        return self.future.result(PATIENCE_SECONDS)


def send_until_stuck(sock: socket.socket, limit_bytes: int) -> int:
    sent = 0
    sock.settimeout(STUCK_SECONDS)
    piece = bytes(256 * 1024)
    try:
        while sent < limit_bytes:
            sent += sock.send(piece[: limit_bytes - sent])
    except TimeoutError:
        return sent
    finally:
        sock.settimeout(PATIENCE_SECONDS)
    return sent


def waits_for_disconnect(told: Told):
    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass
        told(None)

    return app
