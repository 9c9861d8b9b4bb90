"""A fake vLLM on a real loopback socket that answers as a test scripts it.

It runs on its own thread and event loop, so it behaves the same under sync and async tests and
whatever the gateway's loop does. Nothing in it parses what it is told to send.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from tests.patience import NEVER_SECONDS, PATIENCE_SECONDS
from tests.raw_http import RESET_ON_CLOSE, Pairs, parse_head
from tests.recorded import load
from tests.scripting import (
    Script,
    Scripting,
    answer,
    json_answer,
    metrics_answer,
    replay_writes,
    spec_answer,
)

Result = TypeVar("Result")
HEAD_LIMIT_BYTES = 1 << 20
GUARDED = ("/v1", "/v2", "/inference", "/cohere")
MODELS, SPEC = ("GET", "/v1/models"), ("GET", "/openapi.json")
HEALTH, METRICS = ("GET", "/health"), ("GET", "/metrics")
NOT_FOUND = {"detail": "Not Found"}
UNSCRIPTED = {  # what a call without a script is answered with: plain, streamed
    "/v1/chat/completions": ("gen_chat_plain", "gen_chat_stream"),
    "/v1/completions": ("gen_completions_plain", "gen_completions_stream"),
    "/v1/embeddings": ("embed_emb_float", "embed_emb_float"),
    "/v1/responses": ("full_resp_plain", "full_resp_stream"),
    "/v1/messages": ("full_messages_plain", "full_messages_stream"),
    "/tokenize": ("gen_tokenize_prompt", "gen_tokenize_prompt"),
    "/v1/rerank": ("rerank_rerank_v1_rerank", "rerank_rerank_v1_rerank"),
    "/v2/rerank": ("rerank_rerank_v2_rerank", "rerank_rerank_v2_rerank"),
    "/rerank": ("rerank_rerank_rerank", "rerank_rerank_rerank"),
    "/v1/score": ("rerank_score_lists", "rerank_score_lists"),
    "/score": ("rerank_score_pair", "rerank_score_pair"),
    "/classify": ("classify_classify_plain", "classify_classify_plain"),
    "/pooling": ("embed_pool_plain", "embed_pool_plain"),
    "/detokenize": ("gen_detokenize", "gen_detokenize"),
    "/v2/embed": ("embedkey_v2_embed_no_type", "embedkey_v2_embed_no_type"),
    "/v1/chat/completions/batch": ("full_chat_batch", "full_chat_batch"),
    "/invocations": ("gen_chat_plain", "gen_chat_stream"),
}


@dataclass(frozen=True)
class Received:
    """A request as it came. `headers` are by lower-case name, `header_pairs` as sent."""

    method: str
    path_and_query: str
    headers: dict[str, str]
    header_pairs: Pairs
    body: bytes
    connection: int  # counts from 1: equal numbers came over one connection

    @property
    def path(self) -> str:
        return self.path_and_query.partition("?")[0]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _Connection(asyncio.StreamReaderProtocol):
    """One client's connection; its task dies with a client that leaves during a call."""

    def __init__(self, vllm: ScriptedVllm, number: int) -> None:
        self.reader = asyncio.StreamReader(limit=HEAD_LIMIT_BYTES)
        super().__init__(self.reader, self._begin)
        self.vllm = vllm
        self.number = number
        self.in_call = False
        self.transport: asyncio.Transport | None = None
        vllm.connections.add(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        super().connection_made(transport)

    def _begin(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.set_write_buffer_limits(0)  # drain() waits until the kernel has it all
        self.writer = writer
        self.task = asyncio.get_running_loop().create_task(self._converse())
        self.vllm.tasks.add(self.task)
        self.task.add_done_callback(self.vllm.task_ended)

    def eof_received(self) -> bool:
        self._client_left()
        return super().eof_received() or False

    def connection_lost(self, error: Exception | None) -> None:
        self.vllm.connections.discard(self)
        self._client_left()
        super().connection_lost(error)

    def _client_left(self) -> None:
        if self.in_call:
            self.in_call = False
            self.vllm.note_departure()
            self.task.cancel()

    async def _converse(self) -> None:
        try:
            while asked := await self._asked():
                script, is_last = asked
                self.in_call = True
                if self.reader.at_eof():
                    self._client_left()
                await self._play(script)
                self.in_call = False
                if is_last:
                    break
        except ConnectionError:
            pass  # the client reset an idle connection
        except asyncio.CancelledError:
            self.writer.transport.abort()  # without waiting for a client that does not read
            raise
        finally:
            self.in_call = False
            self.writer.close()

    async def _asked(self) -> tuple[Script, bool] | None:
        """The answer to the next request, and whether it is the connection's last. The request is
        kept in `received` alone: a test may look for what is still held of it."""
        request = await self._read_request()
        if request is None:
            return None
        script = self.vllm.script_for(request)
        return script, script.then != "keep" or request.headers.get("connection") == "close"

    async def _play(self, script: Script) -> None:
        for number, data in enumerate(script.writes):
            if number:
                await asyncio.sleep(script.pause_seconds)
            if number == script.held_after:
                await self.vllm.held.acquire()
            self.writer.write(data)
            await self.writer.drain()
        if script.then == "stall":
            await asyncio.Event().wait()
        if script.then == "reset":
            self.in_call = False
            connection: socket.socket = self.writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            self.writer.transport.abort()

    async def _read_request(self) -> Received | None:
        """None when the client left, speaks no HTTP, or was silent for longer than connections are
        kept."""
        try:
            async with asyncio.timeout(self.vllm.keep_alive_seconds):
                first = await self.reader.readexactly(1)
                if not first.isalpha():  # a TLS hello: vLLM says so at once, too
                    self.writer.write(answer(400, body=b"Invalid HTTP request received."))
                    return None
                head = parse_head(first + await self.reader.readuntil(b"\r\n\r\n"))
            method, target, version = head.start
            assert version == "HTTP/1.1", head
            if head.headers.get("expect") == "100-continue":
                self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await self._read_body(head.headers, head.chunked)
        except (asyncio.IncompleteReadError, TimeoutError):
            return None
        return Received(method, target, head.headers, head.pairs, body, self.number)

    async def _read_body(self, headers: dict[str, str], chunked: bool) -> bytes:
        assert not (chunked and "content-length" in headers), "two lengths: request smuggling"
        if not chunked:
            return await self.reader.readexactly(int(headers.get("content-length", 0)))
        chunks = []
        while size := int((await self.reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            chunks.append(await self.reader.readexactly(size))
            await self.reader.readexactly(2)
        await self.reader.readuntil(b"\r\n")
        return b"".join(chunks)


class ScriptedVllm(Scripting):
    """A vLLM server for the time of a `with`; leaving it raises what went wrong inside.

    `will_*` script the calls, `discovery.will_*` script GET /v1/models, `health.will_*` GET /health,
    `metrics.will_*` GET /metrics, and `spec.will_*` GET /openapi.json, which is closed unless
    `routes` says what to tell there. Unscripted ones are answered like a healthy server's, whose
    load is `load`. Every method may be used from any thread; those that wait
    block theirs, so call them with asyncio.to_thread where the gateway runs on the test's loop.
    """

    def __init__(self) -> None:
        super().__init__()
        self.discovery, self.spec = Scripting(), Scripting()
        self.health, self.metrics = Scripting(), Scripting()
        self.models = ["meta-llama/Llama-3.1-8B-Instruct"]
        self.routes: tuple[str, ...] | None = None  # POST paths
        self.required_key: str | None = None
        self.load = (0, 0)  # calls running and waiting, as /metrics tells them
        self.answers: Callable[[Received], Script | None] | None = None  # to calls without a script
        self.keep_alive_seconds = NEVER_SECONDS
        self.received: list[Received] = []
        self.discoveries: list[Received] = []
        self.spec_requests: list[Received] = []
        self.probes: list[Received] = []  # of /health and /metrics
        self.left_at: list[float] = []  # time.monotonic() of each client that left during a call
        self.port = 0
        self.tasks: set[asyncio.Task[None]] = set()
        self.connections: set[_Connection] = set()
        self.held = asyncio.Semaphore(0)
        """What answers wait for that are held; see `go_on`."""
        self._failures: list[BaseException] = []
        self._departures_waited_for = 0
        self._changed = threading.Condition()
        self._connections = itertools.count(1)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL, as a provider's form wants it."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> ScriptedVllm:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="scripted-vllm", daemon=True
        )
        self._thread.start()
        self.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self.stop()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
        if self._failures and error is None:
            raise self._failures[0]

    def start(self) -> None:
        """Listen (again, on the same port)."""
        self._on_loop(self._listen())

    def stop(self) -> None:
        """Drop every connection and refuse new ones."""
        self._on_loop(self._shut())

    def will_refuse(self) -> None:
        """Refuse connections from now on, until start()."""
        self.stop()

    def go_on(self, answers: int = 1) -> None:
        """Let so many held answers go on, those too that come to where they are held only later."""
        for _ in range(answers):
            self._loop.call_soon_threadsafe(self.held.release)

    def wait_until_received(self, count: int = 1, seconds: float = PATIENCE_SECONDS) -> None:
        """Until this many calls have come in all; AssertionError when they do not."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self.received) >= count, seconds)
            assert came, f"{len(self.received)} of {count} calls came within {seconds} s"

    def wait_until_left(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Until the client of a running call has closed. Each call of this waits for one departure;
        AssertionError when none comes."""
        with self._changed:
            index = self._departures_waited_for
            left = self._changed.wait_for(lambda: len(self.left_at) > index, seconds)
            assert left, f"the client did not leave within {seconds} s"
            self._departures_waited_for += 1

    def script_for(self, request: Received) -> Script:
        """Record a request and choose its answer."""
        asked = (request.method, request.path)
        with self._changed:
            self._beside.get(asked, self.received).append(request)
            self._changed.notify_all()
        if self._lacks_key(request):
            return Script((json_answer(401, {"error": "Unauthorized"}),))
        if asked in self._told:
            scripting, usual = self._told[asked]
            return scripting.next_script() or Script((usual(),))
        scripted = self.next_script() or (self.answers(request) if self.answers else None)
        return scripted or self._unscripted(request)

    @property
    def _beside(self) -> dict[tuple[str, str], list[Received]]:
        """Where requests are kept that are no calls."""
        return {
            MODELS: self.discoveries,
            SPEC: self.spec_requests,
            HEALTH: self.probes,
            METRICS: self.probes,
        }

    @property
    def _told(self) -> dict[tuple[str, str], tuple[Scripting, Callable[[], bytes]]]:
        """What a server tells of itself: how it is scripted, and what it says unscripted."""
        return {
            MODELS: (self.discovery, lambda: json_answer(200, self._cards())),
            SPEC: (self.spec, self._told_spec),
            HEALTH: (self.health, lambda: answer(200, [("vary", "Origin")])),
            METRICS: (self.metrics, lambda: metrics_answer(*self.load)),
        }

    def note_departure(self) -> None:
        with self._changed:
            self.left_at.append(time.monotonic())
            self._changed.notify_all()

    def task_ended(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failures.append(failure)

    def _lacks_key(self, request: Received) -> bool:
        if self.required_key is None or not request.path.startswith(GUARDED):
            return False
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return (scheme.lower(), key) != ("bearer", self.required_key)

    def _cards(self) -> dict[str, Any]:
        """The recorded card, once for each model."""
        listing = load("auth_get_v1_models").json
        [card] = listing["data"]
        return {**listing, "data": [{**card, "id": name, "root": name} for name in self.models]}

    def _told_spec(self) -> bytes:
        return json_answer(404, NOT_FOUND) if self.routes is None else spec_answer(self.routes)

    def _unscripted(self, request: Received) -> Script:
        if request.method != "POST" or request.path not in UNSCRIPTED:
            return Script((json_answer(404, NOT_FOUND),))
        plain, streamed = UNSCRIPTED[request.path]
        return Script(replay_writes(load(streamed if _wants_stream(request) else plain)))

    def _on_loop(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_SECONDS)

    async def _listen(self) -> None:
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, next(self._connections)), "127.0.0.1", self.port
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _shut(self) -> None:
        if self._server:
            await self._close_the_door(self._server)
            self._server = None
        tasks = list(self.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        while self.connections:
            for connection in self.connections:
                if connection.transport is not None:
                    connection.transport.abort()
            await asyncio.sleep(0.001)

    async def _close_the_door(self, server: asyncio.Server) -> None:
        """Close it when no connection is on its way in: asyncio would drop one that is accepted
        and has no transport yet, and nothing would tell its protocol."""
        loop = asyncio.get_running_loop()
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
        for _ in range(3):  # accepted, then given a transport, then told to its protocol
            await asyncio.sleep(0)
        server.close()


def _wants_stream(request: Received) -> bool:
    with contextlib.suppress(ValueError):
        return isinstance(request.json, dict) and request.json.get("stream") is True
    return False
