"""Exchanges recorded with a real vLLM (see recordings/README.md), as values a test can replay."""

from __future__ import annotations

import base64
import functools
import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.raw_http import Answer, Pairs, parse_head, read_answer, read_chunks

FOLDER = Path(__file__).parent / "recordings"


@dataclass(frozen=True)
class Recording:
    """One request and its answer. `reads` are the pieces the body came in, one HTTP chunk each.

    `broken` says that the connection was closed before the end of the body. `wire` is the answer
    byte for byte where it was recorded like that (raw_*, shutdown_*), else empty.
    """

    name: str
    method: str
    path: str
    request_headers: Pairs
    request_body: bytes
    status: int
    reason: str
    headers: Pairs
    body: bytes
    reads: tuple[bytes, ...]
    broken: bool = False
    wire: bytes = b""

    @property
    def chunked(self) -> bool:
        return ("transfer-encoding", "chunked") in self.headers

    @property
    def streamed(self) -> bool:
        return dict(self.headers).get("content-type", "").startswith("text/event-stream")

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def names(prefix: str = "") -> list[str]:
    """The names of the recordings that start with this, sorted."""
    return sorted(path.stem for path in FOLDER.glob(f"{prefix}*.json"))


def one_of_a_kind(among: Iterable[str], *, each_path: bool = True) -> list[str]:
    """The first of these for each status and framing of an answer, on each path if so wished."""
    kinds = {
        (_framing(recording), recording.path if each_path else ""): recording.name
        for recording in map(load, sorted(among, reverse=True))
    }
    return sorted(kinds.values())


def _framing(recording: Recording) -> tuple[object, ...]:
    is_text = b"\0" not in recording.body
    kind = recording.status, recording.method == "HEAD", is_text, bool(recording.wire)
    return *kind, recording.chunked, recording.streamed, recording.broken


@functools.cache
def load(name: str) -> Recording:
    """The recording of this name; FileNotFoundError when there is none."""
    exchange = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    if "received" in exchange:
        return _from_wire(name, exchange["sent"].encode(), exchange["received"].encode())
    if "stream" in exchange:
        return _from_wire(name, CHAT_STREAM, _stitched(exchange["stream"]))
    return _from_exchange(name, exchange["request"], exchange["response"])


def _from_exchange(name: str, request: dict[str, Any], response: dict[str, Any]) -> Recording:
    body = (
        base64.b64decode(response["body_base64"])
        if "body_base64" in response
        else response["body_text"].encode()
    )
    return Recording(
        name=name,
        method=request["method"],
        path=request["path"],
        request_headers=tuple(request["headers"].items()),
        request_body=_request_body(request["body"]),
        status=response["status"],
        reason=response["reason"],
        headers=tuple((key, value) for key, value in response["headers"]),
        body=body,
        reads=_pieces(body, [size for _, size in response.get("reads", ())]),
        broken="broken" in response,
    )


def _request_body(body: Any) -> bytes:
    """As it was sent: text as it is, everything else by json.dumps (Content-Length agrees)."""
    if body is None:
        return b""
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()


def _pieces(body: bytes, sizes: list[int]) -> tuple[bytes, ...]:
    file = io.BytesIO(body)
    pieces = [file.read(size) for size in sizes] + [file.read()]
    return tuple(piece for piece in pieces if piece)


CHAT_STREAM = b"POST /v1/chat/completions HTTP/1.1\r\n\r\n"  # what a shutdown recording asked for


def _stitched(stream: dict[str, str]) -> bytes:
    """A shutdown recording keeps the beginning and the end: the head, then the last whole chunks."""
    head, _, _ = stream["head"].partition("\r\n\r\n")
    first_whole = re.search(r"\r\n([0-9a-f]+\r\ndata:.*)", stream["tail"], re.DOTALL)
    if first_whole is None:
        raise ValueError("no whole chunk in this recording")
    return f"{head}\r\n\r\n{first_whole[1]}".encode()


def _from_wire(name: str, sent: bytes, received: bytes) -> Recording:
    head, _, body = sent.partition(b"\r\n\r\n")
    request = parse_head(head)
    method, path, _ = request.start
    answer: Answer = read_answer(io.BytesIO(received))
    return Recording(
        name=name,
        method=method,
        path=path,
        request_headers=request.pairs,
        request_body=b"".join(read_chunks(io.BytesIO(body))) if request.chunked else body,
        status=answer.status,
        reason=answer.reason,
        headers=answer.pairs,
        body=answer.body,
        reads=tuple(answer.chunks) or _pieces(answer.body, []),
        wire=received,
    )
