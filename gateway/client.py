"""The client's side of a call: its request comes in, its answer goes out, its leaving is noticed.

Plain ASGI (version 3, HTTP), whichever server runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

from gateway import dialects, encodings
from gateway import headers as policy
from gateway.dialects import Dialect
from gateway.errors import (
    BodyTooLarge,
    ClientGone,
    GatewayError,
    SlowUpload,
)
from gateway.memory import Charge, Memory
from gateway.unpacking import Unpacker
from gateway.waiting import Waiting

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

LEAST_BYTES_PER_SECOND = 1024
"""An upload slower than this is taken for an attack on the number of connections."""
UPLOAD_QUEUE_PIECES = 8
MOST_WRITTEN_BYTES = 2**20
"""At a time: each is copied, and the client takes it before the next."""


def address_of(scope: MutableMapping[str, Any]) -> str:
    """Where the connection came from; "" over a Unix socket."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@dataclass(frozen=True, slots=True)
class Request:
    """What a request says, but for its body."""

    method: str
    path: str
    raw_path: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]] = field(repr=False)
    id: str
    client: str = ""
    """The address at the other end of the connection."""

    @classmethod
    def of(cls, scope: MutableMapping[str, Any]) -> Request:
        given = [(bytes(name), bytes(value)) for name, value in scope["headers"]]
        return cls(
            method=scope["method"],
            path=scope["path"],
            raw_path=scope.get("raw_path") or quote(scope["path"]).encode(),
            query=scope["query_string"],
            headers=given,
            id=policy.request_id(given),
            client=address_of(scope),
        )

    @property
    def announces_body(self) -> bool:
        """Whether a body follows, as HTTP/1.1 tells (RFC 9112, 6.3) or the method makes likely."""
        length = policy.first(self.headers, b"content-length")
        if length is not None:
            return length != b"0"
        chunked = policy.first(self.headers, b"transfer-encoding") is not None
        return chunked or self.method in {"POST", "PUT", "PATCH"}


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of this process, and how long it may hear nothing."""

    body_bytes: int
    upload_stall_seconds: float
    """The longest silence within a body; and how far a slow one may fall behind its pace."""
    upload_bytes_per_second: int = LEAST_BYTES_PER_SECOND
    """The pace. Only the time in which Aurora waits for the body counts."""
    ping_seconds: float = 15.0
    """A stream that Aurora words itself says something this often while the server is silent."""
    head_seconds: float = 15.0
    """A client that waits for the first event of a stream hears nothing for so long."""
    comment_seconds: float = 1.0
    """After a server's first comment, its first event is waited for so long before the client is
    told: a server that fails right behind one is passed over unseen."""
    memory: Memory | None = None
    """The account of what calls hold; None: nothing is counted."""


class Client:
    """One request's connection. `status`, `sent_bytes` and `is_answered` say how far its answer has
    come; `is_held` that it has the head of a stream, and no event yet. `broken` words the event that
    ends the stream which goes out; it is None while none does."""

    def __init__(
        self,
        request: Request,
        receive: Receive,
        send: Send,
        limits: Limits,
        until_gone: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.request = request
        self.until_gone = until_gone
        """Where the server has it: returns when the client has left, also behind unread body."""
        self.ping_seconds = limits.ping_seconds
        self.status = 0
        self.sent_bytes = 0
        self.is_answered = self.is_held = False
        self._waiting: Waiting | None = None
        self.broken: Callable[[GatewayError], bytes] | None = None
        self._receive, self._send, self._limits = receive, send, limits
        self.memory, self.charge = limits.memory, Charge(limits.memory)
        """What it holds in memory: `free` it with the call."""
        self._received_bytes = 0
        self._patience_seconds = limits.upload_stall_seconds

    async def body(self) -> bytes:
        """The whole body. Raises BodyTooLarge, MemoryFull, SlowUpload or ClientGone: where its length
        is said, the first two before any of it is read."""
        self.charge.check_body(self.check_length() or 0)
        piece, more = await self.next_piece()
        self.charge.hold_body(len(piece))
        if not more:
            return piece
        whole = bytearray(piece)  # a list of pieces takes far more, where they are single bytes
        while more:
            piece, more = await self.next_piece()
            whole += piece
            self.charge.hold_body(self._received_bytes)
        return bytes(whole)

    async def plain_body(self, unpacker: Unpacker) -> bytes:
        """The whole body, unpacked where it came packed; from then on `request` has the headers of
        a plain one. Raises what `body` raises, UnsupportedEncoding, or InvalidRequest."""
        encoding = encodings.encoding_of(self.request.headers)
        body = await self.body()
        if not encoding:
            return body
        plain = await unpacker.unpacked(body, encoding, self._limits.body_bytes)
        self.charge.hold_body(len(plain))
        kept = [pair for pair in self.request.headers if pair[0] != b"content-encoding"]
        self.request = replace(self.request, headers=kept)
        return plain

    def check_length(self) -> int | None:
        """The length the body is said to have, or None. Raises BodyTooLarge."""
        declared = policy.first(self.request.headers, b"content-length")
        length = int(declared) if declared is not None and declared.isdigit() else None
        if length is not None and length > self._limits.body_bytes:
            raise self._too_large()
        return length

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The body may have {self._limits.body_bytes} bytes at most.")

    async def next_piece(self) -> tuple[bytes, bool]:
        """The next piece of the body, and whether more follows."""
        started = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._patience_seconds):
                message = await self._receive()
        except TimeoutError:
            raise SlowUpload(self._too_slow()) from None
        if message["type"] == "http.disconnect":
            raise ClientGone(message.get("reason") or "the client left within its body")
        piece = message.get("body", b"")
        self._received_bytes += len(piece)
        if self._received_bytes > self._limits.body_bytes:
            raise self._too_large()
        self._settle_patience(asyncio.get_running_loop().time() - started, len(piece))
        return piece, message.get("more_body", False)

    def _settle_patience(self, waited_seconds: float, received_bytes: int) -> None:
        """What is left of the time that the client may be silent or slow. It is earned again by the
        pace, and never more than all of it: what came fast at first excuses no later trickle."""
        earned = received_bytes / self._limits.upload_bytes_per_second
        left = max(0.0, self._patience_seconds - waited_seconds) + earned
        self._patience_seconds = min(self._limits.upload_stall_seconds, left)

    def _too_slow(self) -> str:
        stall, pace = self._limits.upload_stall_seconds, self._limits.upload_bytes_per_second
        return f"The body stalled for {stall:g} s, or came at less than {pace} bytes a second."

    async def departure(self) -> None:
        """Return when the client has left. To be awaited once its body has been read."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    @property
    def waiting(self) -> Waiting:
        """What it hears until the first event of its stream. To be ended with the call."""
        if self._waiting is None:
            self._waiting = Waiting(
                self,
                head_seconds=self._limits.head_seconds,
                ping_seconds=self.ping_seconds,
                comment_seconds=self._limits.comment_seconds,
            )
        return self._waiting

    def end_waiting(self) -> None:
        """Break the cycle, too: one a call would keep the garbage collector busy."""
        if self._waiting is not None:
            self._waiting.end()
            self._waiting = None

    @property
    def has_begun(self) -> bool:
        """Whether its answer has begun: then no other server is asked, and no status can be told."""
        return self.status != 0 and not self.is_held

    async def hold(self, headers: list[tuple[bytes, bytes]]) -> None:
        """Send the head of a stream before its first event is there. `start` follows, or `refuse`."""
        self.is_held = True
        await self._start(200, headers)

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Of a stream that is held the head is out already."""
        if self._waiting is not None:
            self._waiting.end()
        if self.is_held:
            self.is_held = False
        else:
            await self._start(status, headers)

    async def _start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        await self._send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [*headers, (b"x-request-id", self.request.id.encode())],
            }
        )

    async def write(self, piece: bytes, *, more: bool) -> None:
        """Hand on `piece`; returns once the server can take the next."""
        at, size = 0, MOST_WRITTEN_BYTES
        while len(piece) - at > size:
            await self._write(piece[at : at + size], more=True)
            at += size
        await self._write(piece[at:], more=more)

    async def _write(self, piece: bytes, *, more: bool) -> None:
        self.sent_bytes += len(piece)
        await self._send({"type": "http.response.body", "body": piece, "more_body": more})
        self.is_answered = not more

    async def answer(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole answer at once; HEAD gets all but the body."""
        length = (b"content-length", str(len(body)).encode())
        await self.start(status, [*headers, length])
        await self.write(b"" if self.request.method == "HEAD" else body, more=False)

    async def answer_json(
        self, status: int, body: bytes, headers: list[tuple[bytes, bytes]] | None = None
    ) -> None:
        await self.answer(status, [(b"content-type", b"application/json"), *(headers or [])], body)

    async def refuse(self, error: GatewayError, dialect: Dialect = Dialect.OPENAI) -> None:
        """Answer with `error` in the shape of the client's dialect; by an event where the head of a
        stream is out."""
        if self.is_held:
            await self.start(200, [])
            await self.write(dialects.event(error, dialect), more=False)
            return
        pairs = [(name.encode(), value.encode()) for name, value in error.headers.items()]
        pairs += dialects.headers(dialect, self.request.id)
        body = dialects.body(error, dialect, self.request.id)
        await self.answer_json(error.status, body, [*pairs, *error.kept])

    async def break_off(self, error: GatewayError, dialect: Dialect) -> None:
        """Tell the client of `error`, by a status or by the event that ends its stream. Any other
        answer that has begun is left for the server to cut."""
        if not self.has_begun:
            await self.refuse(error, dialect)
        elif self.broken is not None and not self.is_answered:
            await self.write(self.broken(error), more=False)


class Watched:
    """A block that ends with ClientGone as soon as the client leaves.

    With `uploading`, the body is taken in meanwhile and handed on by `pieces`, a few at a time;
    what is wrong with it ends the block as well. The block's task is interrupted by cancelling it.
    """

    def __init__(self, client: Client, *, uploading: bool = False) -> None:
        self._client = client
        self._failure: GatewayError | ClientGone | None = None
        self._watchers: list[asyncio.Task[None]] = []
        self._pieces: asyncio.Queue[bytes | None] | None = None
        if uploading:
            self._pieces = asyncio.Queue(UPLOAD_QUEUE_PIECES)

    def __enter__(self) -> Self:
        task = _current_task()
        self._watchers.append(task.get_loop().create_task(self._watch(task)))
        if self._pieces is not None and self._client.until_gone is not None:
            self._watchers.append(
                task.get_loop().create_task(self._watch_behind(self._client.until_gone, task))
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # What is not held any more makes no cycle: one a call would keep the garbage collector busy.
        failure, self._failure = self._failure, None
        while self._watchers:
            self._watchers.pop().cancel()
        if failure is not None and kind is asyncio.CancelledError:
            _current_task().uncancel()
            raise failure from None

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes in, of a block that is uploading."""
        while self._pieces is not None and (piece := await self._pieces.get()) is not None:
            yield piece

    async def _watch(self, task: asyncio.Task[Any]) -> None:
        try:
            if self._pieces is not None:
                await self._take_in(self._pieces)
            await self._client.departure()
            if not self._client.is_answered:  # who has it all may leave
                self._end(ClientGone("the client left"), task)
        except (GatewayError, ClientGone) as failure:
            self._end(failure, task)

    async def _watch_behind(
        self, until_gone: Callable[[], Awaitable[None]], task: asyncio.Task[Any]
    ) -> None:
        """While the server upstream takes nothing, `_watch` waits with a piece in its hand."""
        await until_gone()
        await asyncio.sleep(0)  # `_watch` speaks first where it can: it is told the reason
        self._end(ClientGone("the client left within its body"), task)

    def _end(self, failure: GatewayError | ClientGone, task: asyncio.Task[Any]) -> None:
        if self._failure is None:
            self._failure = failure
            task.cancel()

    async def _take_in(self, pieces: asyncio.Queue[bytes | None]) -> None:
        more = True
        while more:
            piece, more = await self._client.next_piece()
            await pieces.put(piece)
        await pieces.put(None)


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine always runs in a task
    return task
