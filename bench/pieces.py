"""What callers and servers may send to hold all calls up: the longest callback of Aurora's loop
meanwhile, and the longest that a small call took beside it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bench.client import Broken, Server, fetch
from bench.hostile import CLOSE, MIB, PINGS

MOST_SECONDS = 180.0
BODY_BYTES = 32 * MIB - 4096
STREAMS = 16
MASKED_PING, MASK = b"\x89\x80\0\0\0\0", b"\0\0\0\0"


@dataclass(frozen=True, slots=True)
class Held:
    """How long calls were held up, by one case."""

    callback_ms: float
    call_ms: float
    bad: Counter[str]


async def held_up(case: str, server: Server, told_port: int) -> Held:
    """Run one of CASES. `told_port` is that of `bench.callbacks`."""
    bad: Counter[str] = Counter()
    await _longest(told_port)
    beside = asyncio.create_task(_small_calls(server))
    try:
        async with asyncio.timeout(MOST_SECONDS):
            bad.update(await CASES[case](server))
    except (TimeoutError, OSError, Broken) as error:
        bad[f"{case}: {error!r}"] += 1
    longest = await _longest(told_port)
    beside.cancel()
    [call_seconds] = await asyncio.gather(beside)
    return Held(longest, call_seconds * 1000, bad)


async def _longest(port: int) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    told = await reader.read()
    writer.close()
    return float(told)


async def _small_calls(server: Server) -> float:
    """One after the other until it is cancelled: how long the slowest took."""
    slowest = 0.0
    try:
        while True:
            began = time.monotonic()
            await fetch(server, server.get("/health"))
            slowest = max(slowest, time.monotonic() - began)
            await asyncio.sleep(0.001)
    except asyncio.CancelledError:
        return slowest


def _posted(path: str, model: str, members: bytes, headers: str = "") -> Callable[[Server], bytes]:
    def request(server: Server) -> bytes:
        body = b'{"model":"vllm/%b",%b}' % (model.encode(), members)
        packed = gzip.compress(body, 1) if headers else body
        head = f"POST {path} HTTP/1.1\r\n{server._headers()}{headers}content-length: {len(packed)}"
        return f"{head}\r\n\r\n".encode() + packed

    return request


def _asked(text: bytes, rest: bytes = b"") -> bytes:
    return b'"messages":[{"role":"user","content":"%b"}]%b' % (text, rest)


def _call(
    path: str, model: str, members: bytes, headers: str = "", *, status: int = 200, at_once: int = 1
) -> Callable[[Server], Awaitable[Counter[str]]]:
    async def call(server: Server) -> Counter[str]:
        request = _posted(path, model, members, headers)(server)
        answers = await asyncio.gather(*(fetch(server, request) for _ in range(at_once)))
        return Counter(f"status {given}" for given, _ in answers if given != status)

    return call


async def _session(server: Server, model: str, said: bytes) -> Counter[str]:
    """A session that says `said`, to its end."""
    named = Server(server.name, server.port, f"vllm/{model}", server.key)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(named.session(1))
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        with contextlib.suppress(ConnectionError):  # the end of one that answers no Close
            while await reader.read(MIB):
                pass
    finally:
        writer.close()
    return Counter() if b" 101 " in head[:20] else Counter({"no session": 1})


async def _pings_of_server(server: Server) -> Counter[str]:
    return await _session(server, "pings", b"")


async def _pings_of_client(server: Server) -> Counter[str]:
    close = CLOSE[:1] + b"\x82" + MASK + CLOSE[2:]
    return await _session(server, "plain", MASKED_PING * PINGS + close)


STREAM = b',"stream":true,"max_tokens":9'
BACKSLASHES = b"\\\\" * (BODY_BYTES // 2)
CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
CASES: dict[str, Callable[[Server], Awaitable[Counter[str]]]] = {
    "chunks": _call(CHAT, "bytes", _asked(b"Hi", STREAM)),
    "server_pings": _pings_of_server,
    "client_pings": _pings_of_client,
    "streams": _call(MESSAGES, "events", _asked(b"Hi", STREAM), at_once=STREAMS),
    "event": _call(RESPONSES, "event", b'"input":"Hi","stream":true'),
    "quotes": _call(RESPONSES, "quotes", b'"input":"Hi"'),
    "backslashes": _call(CHAT, "plain", _asked(BACKSLASHES)),
    "translated": _call(RESPONSES, "plain", b'"input":"%b"' % BACKSLASHES),
    "packed": _call(
        MESSAGES, "plain", _asked(BACKSLASHES, b',"max_tokens":9'), "content-encoding: gzip\r\n"
    ),
    "empties": _call(
        CHAT, "plain", _asked(b"Hi", b',"prompt":[%b0]' % (b"[]," * (BODY_BYTES // 3)))
    ),
}
"""By name. Each is within Aurora's limits."""
