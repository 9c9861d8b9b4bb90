"""What a ScriptedVllm is told to answer: scripts, and the bytes they are made of."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Any, Literal

from tests.recorded import Recording

Then = Literal["keep", "close", "reset", "stall"]

EVENT_STREAM = "text/event-stream; charset=utf-8"
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Script:
    """The answer to one call: these writes, each on its own, and then what becomes of it."""

    writes: tuple[bytes, ...]
    then: Then = "keep"
    pause_seconds: float = 0
    always: bool = False
    held_after: int | None = None
    """After so many writes it waits for `ScriptedVllm.go_on`."""


def head_bytes(status: int, headers: Iterable[tuple[str, str]]) -> bytes:
    """The head of an answer, with the two fields that uvicorn puts before all others."""
    pairs = [("date", formatdate(usegmt=True)), ("server", "uvicorn"), *headers]
    fields = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{fields}\r\n".encode("latin-1")


def chunk_bytes(chunk: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(chunk), chunk)


def stream_head(content_type: str = EVENT_STREAM) -> bytes:
    fields = [("content-type", content_type), ("vary", "Origin"), ("transfer-encoding", "chunked")]
    return head_bytes(200, fields)


def answer(status: int, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> bytes:
    pairs = list(headers)
    if not {name.lower() for name, _ in pairs} & {"content-length", "transfer-encoding"}:
        pairs.insert(0, ("content-length", str(len(body))))
    return head_bytes(status, pairs) + body


def json_answer(status: int, value: Any) -> bytes:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return answer(status, [("content-type", "application/json"), ("vary", "Origin")], body)


def spec_answer(post_paths: Iterable[str]) -> bytes:
    """What FastAPI tells at /openapi.json of a server with these and GET /v1/models."""
    operation = {"summary": "Call", "responses": {"200": {"description": "Successful Response"}}}
    paths = {"/v1/models": {"get": operation}} | {path: {"post": operation} for path in post_paths}
    info = {"title": "FastAPI", "version": "0.1.0"}
    return json_answer(200, {"openapi": "3.1.0", "info": info, "paths": paths})


def metrics_answer(running: int, waiting: int) -> bytes:
    """What vLLM tells at /metrics, as far as it is of its load."""
    labels = '{engine="0",model_name="m"}'
    body = "".join(
        f"# HELP vllm:num_requests_{name} Number of requests.\n"
        f"# TYPE vllm:num_requests_{name} gauge\n"
        f"vllm:num_requests_{name}{labels} {calls:.1f}\n"
        for name, calls in (("running", running), ("waiting", waiting))
    )
    return answer(200, [("content-type", "text/plain; version=0.0.4")], body.encode())


def replay_writes(recording: Recording) -> tuple[bytes, ...]:
    """The writes that repeat a recording: byte for byte, or its head and each of its pieces."""
    if recording.wire:
        return (recording.wire,)
    fields = "".join(f"{name}: {value}\r\n" for name, value in recording.headers)
    head = f"HTTP/1.1 {recording.status} {recording.reason}\r\n{fields}\r\n".encode("latin-1")
    if not recording.chunked:
        return (head, *recording.reads)
    end = () if recording.broken else (LAST_CHUNK,)
    return (head, *map(chunk_bytes, recording.reads), *end)


class Scripting:
    """Answers for the next calls, in order. One given with `always=True` stays while it is last."""

    def __init__(self) -> None:
        self._scripts: deque[Script] = deque()

    def next_script(self) -> Script | None:
        if not self._scripts:
            return None
        stays = self._scripts[0].always and len(self._scripts) == 1
        return self._scripts[0] if stays else self._scripts.popleft()

    def will_answer(
        self,
        status: int = 200,
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        *,
        always: bool = False,
    ) -> None:
        """Content-Length is added unless the headers say how long the body is."""
        self._scripts.append(Script((answer(status, headers, body),), always=always))

    def will_answer_json(self, status: int, value: Any, *, always: bool = False) -> None:
        self._scripts.append(Script((json_answer(status, value),), always=always))

    def will_stream(
        self,
        *chunks: bytes,
        pause_seconds: float = 0,
        content_type: str = EVENT_STREAM,
        always: bool = False,
        held_after: int | None = None,
    ) -> None:
        """Each chunk is one HTTP chunk and one write; the pause is before every write. After
        `held_after` chunks it waits for `ScriptedVllm.go_on`."""
        writes = (stream_head(content_type), *map(chunk_bytes, chunks), LAST_CHUNK)
        held = None if held_after is None else held_after + 1
        self._scripts.append(
            Script(writes, pause_seconds=pause_seconds, always=always, held_after=held)
        )

    def will_send(
        self,
        *raw: bytes,
        then: Then = "keep",
        pause_seconds: float = 0,
        always: bool = False,
        held_after: int | None = None,
    ) -> None:
        """Any bytes at all, each argument its own write; the pause is before each but the first.
        After `held_after` writes it waits for `ScriptedVllm.go_on`."""
        self._scripts.append(Script(raw, then, pause_seconds, always, held_after))

    def will_cut_after(
        self, *chunks: bytes, how: Literal["close", "reset"] = "close", always: bool = False
    ) -> None:
        """A stream that breaks off: without its last chunk."""
        writes = (stream_head(), *map(chunk_bytes, chunks))
        self._scripts.append(Script(writes, how, always=always))

    def will_stall(
        self,
        before: Literal["headers", "body"] = "headers",
        after_chunks: Iterable[bytes] = (),
        *,
        always: bool = False,
    ) -> None:
        """Nothing, or the head and these chunks; then silence until the client leaves."""
        chunks = tuple(map(chunk_bytes, after_chunks))
        writes = (stream_head(), *chunks) if chunks or before == "body" else ()
        self._scripts.append(Script(writes, "stall", always=always))

    def will_reset_before_answer(self, *, always: bool = False) -> None:
        """The request is read, then the connection is reset."""
        self._scripts.append(Script((), "reset", always=always))

    def will_replay(self, recording: Recording, *, always: bool = False) -> None:
        """As it was: with its headers (the date too), its chunks and its end."""
        closed = recording.broken or ("connection", "close") in recording.headers
        then: Then = "close" if closed else "keep"
        self._scripts.append(Script(replay_writes(recording), then, always=always))
