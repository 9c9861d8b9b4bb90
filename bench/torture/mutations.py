"""Requests made wrong by chance, from a seed: the same seed gives the same requests."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator

PATHS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/responses",
    "/v1/messages",
    "/v1/messages/count_tokens",
    "/v1/conversations",
    "/v1/rerank",
    "/v1/models",
    "/p/vllm/tokenize",
    "/health",
)
DJANGO_PATHS = ("/api/providers", "/api/keys", "/admin/login/")
DJANGO_SHARE = 0.03
"""Of the requests: each costs ten times as much as the others."""
METHODS = ("POST", "POST", "POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "BREW")
HEADERS = (
    "accept: */*",
    "accept-encoding: gzip",
    "x-request-id: one",
    "anthropic-version: 2023-06-01",
    "content-encoding: gzip",
    "content-type: multipart/form-data; boundary=x",
    "content-type: text/plain",
    "transfer-encoding: chunked",
    "content-length: 5",
    "expect: 100-continue",
    "connection: upgrade",
    "upgrade: websocket",
    "cookie: a=b; c",
    "x-api-key: nobody",
    "origin: https://elsewhere.example",
    "range: bytes=0-1",
)
BODIES: tuple[dict[str, object], ...] = (
    {"model": "mock-model", "messages": [{"role": "user", "content": "Hello"}]},
    {"model": "mock-model", "messages": [], "stream": True, "tools": [{"type": "function"}]},
    {"model": "mock-model", "input": [{"role": "user", "content": [{"type": "input_text"}]}]},
    {"model": "mock-model", "max_tokens": 5, "system": "Be brief.", "messages": [{"role": "user"}]},
    {"model": "mock-model", "query": "q", "documents": ["a", {"text": "b"}]},
    {"model": "mock-model", "input": "text", "previous_response_id": "resp_1", "store": False},
    {"name": "x", "base_url": "ftp://nowhere", "weight": "much"},
)
VALUES: tuple[object, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    2**70,
    "",
    "\x00",
    "\ud83d",
    [],
    {},
    [[]],
    {"a": {}},
    "a" * 300,
)
BYTES = (b"\x00", b"\xff", b"\r", b"\n", b"\r\n", b" ", b":", b'"', b"\\u0000", b"{", b"[" * 64)


def requests(seed: int, key: str) -> Iterator[bytes]:
    """Without an end. Two of three carry `key`; each closes its connection."""
    chance = random.Random(seed)
    while True:
        body = _body(chance)
        head = _head(chance, key, len(body))
        yield _mutated(chance, head) + b"\r\n\r\n" + body


def _head(chance: random.Random, key: str, length: int) -> bytes:
    target = chance.choice(DJANGO_PATHS if chance.random() < DJANGO_SHARE else PATHS)
    if chance.random() < 0.1:
        target += chance.choice(
            ("/", "//", "/%2e%2e/x", "?a=%zz", "?" + "q" * 200, "/\u00e9", "#f")
        )
    lines = [f"{chance.choice(METHODS)} {target} HTTP/1.1", "host: 127.0.0.1", "connection: close"]
    if chance.random() < 0.66:
        lines.append(f"authorization: Bearer {key}")
    lines += [f"content-length: {length}", "content-type: application/json"]
    lines += chance.sample(HEADERS, chance.choice((0, 0, 0, 1, 2, 5)))
    return "\r\n".join(lines).encode()


def _body(chance: random.Random) -> bytes:
    members = dict(chance.choice(BODIES))
    for _ in range(chance.choice((0, 1, 1, 2, 4))):
        _spoil(chance, members)
    return _mutated(chance, json.dumps(members).encode())


def _spoil(chance: random.Random, members: dict[str, object]) -> None:
    name = chance.choice([*members, "temperature", "tool_choice", "background", "stream_options"])
    members[name] = chance.choice(VALUES)


def _mutated(chance: random.Random, whole: bytes) -> bytes:
    """Half of the time unchanged, else with up to three places cut, doubled, or filled with noise."""
    if chance.random() < 0.5:
        return whole
    for _ in range(chance.randint(1, 3)):
        whole = chance.choice(_MUTATIONS)(chance, whole, chance.randint(0, len(whole)))
    return whole


Mutation = Callable[[random.Random, bytes, int], bytes]


def _insert(chance: random.Random, whole: bytes, at: int) -> bytes:
    return whole[:at] + chance.choice(BYTES) + whole[at:]


def _cut(chance: random.Random, whole: bytes, at: int) -> bytes:
    return whole[:at] + whole[at + chance.randint(1, 20) :]


def _double(chance: random.Random, whole: bytes, at: int) -> bytes:
    return whole[:at] + whole[max(0, at - chance.randint(1, 40)) :]


def _flip(chance: random.Random, whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes((chance.randrange(256),)) + whole[at + 1 :]


_MUTATIONS: tuple[Mutation, ...] = (_insert, _cut, _double, _flip)
