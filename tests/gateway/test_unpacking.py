"""Packed bodies are unpacked by threads of their own."""

from __future__ import annotations

import asyncio
import gzip
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from gateway.client import Client, Limits, Request
from gateway.unpacking import Unpacker

pytestmark = pytest.mark.anyio
HANG_SECONDS = 30
LIMITS = Limits(body_bytes=1000, upload_stall_seconds=HANG_SECONDS)


def sending(body: bytes) -> Client:
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        raise AssertionError(message)

    headers = [(b"content-encoding", b"gzip")]
    return Client(Request("POST", "/x", b"/x", b"", headers, "id"), receive, send, LIMITS)


async def test_a_packed_body_waits_for_none_of_the_threads_that_look_up_hosts():
    loop, done = asyncio.get_running_loop(), Event()
    loop.set_default_executor(ThreadPoolExecutor(1))
    looking_up = loop.run_in_executor(None, done.wait, 2 * HANG_SECONDS)
    try:
        async with asyncio.timeout(HANG_SECONDS):
            plain = await sending(gzip.compress(b"plain")).plain_body(Unpacker())
    finally:
        done.set()
        await looking_up

    assert plain == b"plain"
