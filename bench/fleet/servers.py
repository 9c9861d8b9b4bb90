"""Scripted vLLM servers, many in one process: their prefix caches are real, their time is made up.

A prompt's uncached tokens are worked on one prompt after the other; then tokens come in a few
pieces, the slower the more calls run. It prints the ports. `GET /stats` at any of the ports tells what all of them saw,
`POST /begin` lets them count anew, with their caches as they are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache

import uvloop

from bench.fleet.cache import BLOCK_TOKENS, PrefixCache, blocks
from bench.fleet.trace import reply
from bench.mock import CARD, MODEL, answer, chunk, event

CACHE_BLOCKS = 4_000
BASE_SECONDS = 0.005
PREFILL_SECONDS = 0.0002
"""For a token that is not cached."""
DECODE_SECONDS = 0.012
"""For a token, where one call runs; half as much more where BATCH of them do."""
BATCH = 16
PIECES = 4
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nserver: mock\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


@dataclass(slots=True)
class Counts:
    """What one server saw. `busy` is calls times seconds."""

    calls: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    busy: float = 0.0


@dataclass(slots=True)
class Server:
    """One of the fleet. It belongs to one event loop."""

    cache: PrefixCache = field(default_factory=lambda: PrefixCache(CACHE_BLOCKS))
    counts: Counts = field(default_factory=Counts)
    running: int = 0
    waiting: int = 0
    free_at: float = 0.0
    """When the prompts that are there now have been worked on."""

    async def chat(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        asked = json.loads(body)
        words = words_of(asked["messages"])
        said = reply(asked["messages"][-1]["content"], int(asked["max_tokens"])).split()
        began = asyncio.get_running_loop().time()
        try:
            await self._prefilled(words)
            await self._told(writer, said)
            self.cache.keep(blocks([*words, "<assistant>", *said]))
        finally:
            self.counts.busy += asyncio.get_running_loop().time() - began

    async def _prefilled(self, words: list[str]) -> None:
        wanted = blocks(words)
        cached = self.cache.hits(wanted) * BLOCK_TOKENS
        self.cache.keep(wanted)
        self.counts.calls += 1
        self.counts.prompt_tokens += len(words)
        self.counts.cached_tokens += cached
        now = asyncio.get_running_loop().time()
        seconds = BASE_SECONDS + (len(words) - cached) * PREFILL_SECONDS
        self.free_at = max(self.free_at, now) + seconds
        self.waiting += 1
        try:
            await asyncio.sleep(self.free_at - now)
        finally:
            self.waiting -= 1

    async def _told(self, writer: asyncio.StreamWriter, said: list[str]) -> None:
        step = -(-len(said) // PIECES)
        self.running += 1
        writer.write(STREAM_HEAD)
        try:
            for start in range(0, len(said), step):
                piece = " ".join(said[start : start + step])
                writer.write(chunk(event(_piece(piece, None))))
                slower = 1 + 0.5 * self.running / BATCH
                await asyncio.sleep(step * DECODE_SECONDS * slower)
            last = event(_piece("", "stop")) + b"data: [DONE]\n\n"
            writer.write(chunk(last) + b"0\r\n\r\n")
        finally:
            self.running -= 1

    def metrics(self) -> bytes:
        told = (("running", self.running), ("waiting", self.waiting))
        lines = (
            f'vllm:num_requests_{name}{{engine="0",model_name="{MODEL}"}} {calls}.0\n'
            for name, calls in told
        )
        return answer("".join(lines).encode())


def words_of(messages: Sequence[dict[str, str]]) -> list[str]:
    """A prompt's tokens, as the template puts them."""
    words = []
    for message in messages:
        words.append(f"<{message['role']}>")
        words += message["content"].split()
    return words


@lru_cache(maxsize=256)
def _rendered(body: bytes) -> bytes:
    """The prompt's tokens, as vLLM tells them where it is started with --enable-scale-out. Kept for
    a while: a router asks all servers for the same, and these share a core."""
    asked = json.loads(body)
    words = words_of(asked["messages"])
    told = {
        "request_id": "chatcmpl-fleet",
        "token_ids": [zlib.crc32(word.encode()) >> 2 for word in words],
        "token_offsets": None,
        "features": None,
        "content_parts": None,
        "sampling_params": {"temperature": 1.0, "top_p": 1.0, "max_tokens": asked["max_tokens"]},
        "model": MODEL,
    }
    return answer(json.dumps(told).encode())


def _piece(text: str, finish: str | None) -> dict[str, object]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    return {
        "id": "chatcmpl-fleet",
        "object": "chat.completion.chunk",
        "created": 1764000000,
        "model": MODEL,
        "choices": [choice],
    }


class Fleet:
    """All servers of this process."""

    def __init__(self, count: int, *, renders: bool = False) -> None:
        self._renders = renders
        self.servers = [Server() for _ in range(count)]

    async def serve(self, on_listening: Callable[[list[int]], None]) -> None:
        """Each at a port of its own, which `on_listening` is told."""
        listening = [
            await asyncio.start_server(self._of(server), "127.0.0.1", 0, limit=2**22)
            for server in self.servers
        ]
        on_listening([each.sockets[0].getsockname()[1] for each in listening])
        try:
            await asyncio.Event().wait()
        finally:
            for each in listening:
                each.close()

    def _of(self, server: Server) -> asyncio.streams._ClientConnectedCallback:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while await self._answered(server, reader, writer):
                    pass
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # the other side has left
            finally:
                writer.close()

        return connected

    async def _answered(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        body = await reader.readexactly(int(found[1])) if found else b""
        asked = b" ".join(head.split(b" ", 2)[:2])
        if asked == b"POST /v1/chat/completions":
            await server.chat(writer, body)
        elif self._renders and asked == b"POST /v1/chat/completions/render":
            writer.write(_rendered(body))
        else:
            writer.write(self._told(server, asked))
        await writer.drain()
        return True

    def _told(self, server: Server, asked: bytes) -> bytes:
        if asked == b"GET /v1/models":
            return answer(json.dumps({"object": "list", "data": [CARD]}).encode())
        if asked == b"GET /metrics":
            return server.metrics()
        if asked == b"GET /stats":
            return answer(json.dumps([asdict(each.counts) for each in self.servers]).encode())
        if asked == b"POST /begin":
            for each in self.servers:
                each.counts = Counts()
        if asked in {b"GET /health", b"POST /begin"}:
            return answer(b"")
        return answer(b'{"detail":"Not Found"}', "404 Not Found")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet.servers", description=__doc__)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--render", action="store_true", help="tell the tokens of prompts")
    given = parser.parse_args()
    fleet = Fleet(given.count, renders=given.render)
    uvloop.run(fleet.serve(lambda ports: print(json.dumps(ports), flush=True)))


if __name__ == "__main__":
    main()
