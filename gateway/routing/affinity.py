"""A call -> its session, by which it comes back to the server that has its prefix cached. Pure.

A client may name the session. Most do not: then it is the caller, and what the chat template would
put first: tools, system prompt, and all up to the first message of the user. That much stays the
same from turn to turn, and tells one conversation from another. What is there before that message
is shared by many conversations, and servers that have it cached are of use to all of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from gateway.headers import first
from gateway.routing.distances import KEY_BYTES

HEADER = b"x-session-id"
NAMED = ("prompt_cache_key", "conversation")
"""Members that name a session, in OpenAI's APIs."""
AHEAD = ("cache_salt", "tools", "system", "instructions")
"""Members that stand before the first turn: what templates put there, and vLLM's salt, which parts
caches."""
TURNS = ("messages", "input", "prompt")
MOST_READ_BYTES = 4 * 2**20
"""Of a list of turns. Of a longer one the first bytes are taken as they stand."""
MOST_WORDED_BYTES = 2**20
"""Likewise, of one turn or another member."""
MOST_HASHED_BYTES = 64 * 2**10
"""Of all parts of a key together."""
PART_BYTES = 16
"""What each text costs of these, beside its length."""
MOST_DEPTH = 6
"""What is nested deeper counts as it is: no template reads that."""
LEAST_SHARED_BYTES = 256
"""Of what conversations share, to be worth a thought: some four blocks of a prefix cache."""
FIRST_TURN = frozenset({"user", "tool", "assistant"})
"""The first message of one of these roles is the last that counts."""
_TURNS = msgspec.json.Decoder(list[msgspec.Raw])

Members = Mapping[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Session:
    """Both are below `distances.SPAN`. `key` is the same for calls of one session, whichever process they
    come to; `prefix` for calls that begin alike, whoever sends them, and None where they share too
    little."""

    key: int
    prefix: int | None = None


def session(headers: Iterable[tuple[bytes, bytes]], members: Members, owner: UUID) -> Session:
    """The session of a call with these headers and members."""
    named = first(headers, HEADER) or _named(members)
    own, shared = _Digest(owner.bytes), _Digest()
    if named:
        own.add(b"session:" + named)
    # What is nested too deep to be walked is nothing that a template reads.
    with suppress(RecursionError):
        for is_shared, part in _parts(members):
            counts_more = shared.add(part) if is_shared else not named
            if not named:
                counts_more = own.add(part)
            if not counts_more:
                break
    return Session(own.key, shared.key if shared.size >= LEAST_SHARED_BYTES else None)


class _Digest:
    """Of texts, of which together MOST_HASHED_BYTES count."""

    def __init__(self, first: bytes = b"") -> None:
        self._hash, self.size = hashlib.blake2b(first, digest_size=KEY_BYTES), 0

    def add(self, part: bytes) -> bool:
        """Whether more would count."""
        left = MOST_HASHED_BYTES - self.size
        self._hash.update(part[: max(0, left)])
        self.size += len(part) + PART_BYTES
        return self.size < MOST_HASHED_BYTES

    @property
    def key(self) -> int:
        return int.from_bytes(self._hash.digest(), "big")


def _parts(members: Members) -> Iterator[tuple[bool, bytes]]:
    """The texts of a call up to its first turn, and whether other conversations share them."""
    for name in AHEAD:
        if name in members:
            for text in _texts(members[name]):
                yield True, text
    for name in TURNS:
        if name in members:
            yield from _first_turns(members[name])


def _named(members: Members) -> bytes:
    """The session that a member names; a conversation may be an object with an id."""
    for name in NAMED:
        value = _decoded(members[name]) if name in members else None
        if isinstance(value, dict):
            value = value.get("id")
        if isinstance(value, str) and value:
            return value.encode("utf-8", "replace")
    return b""


def _texts(raw: msgspec.Raw) -> Iterator[bytes]:
    if memoryview(raw).nbytes > MOST_WORDED_BYTES:
        yield bytes(memoryview(raw)[:MOST_HASHED_BYTES])
    else:
        yield from _worded(_decoded(raw))


def _first_turns(raw: msgspec.Raw) -> Iterator[tuple[bool, bytes]]:
    """All up to the first message that is no system prompt; of one long text its beginning."""
    view = memoryview(raw)
    kind = bytes(view[:1])
    if view.nbytes > MOST_READ_BYTES or kind not in {b"[", b'"'}:
        yield False, bytes(view[:MOST_HASHED_BYTES])
        return
    if kind == b'"':  # one text is what a user says
        for text in _worded({"role": "user", "content": _decoded(raw)}):
            yield False, text
        return
    for turn in _decoded_turns(raw):
        if memoryview(turn).nbytes > MOST_WORDED_BYTES:
            yield False, bytes(memoryview(turn)[:MOST_HASHED_BYTES])
            return
        message = _decoded(turn)
        if isinstance(message, list):
            yield from _conversation(message)
            return
        is_first = not isinstance(message, dict) or _role(message) in FIRST_TURN
        for text in _worded(message):
            yield not is_first, text
        if is_first:
            return


def _conversation(messages: list[Any]) -> Iterator[tuple[bool, bytes]]:
    """The first of a batch, which counts as a whole."""
    is_shared = True
    for message in messages:
        is_shared = is_shared and isinstance(message, dict) and _role(message) not in FIRST_TURN
        for text in _worded(message, depth=1):
            yield is_shared, text


def _role(message: dict[str, Any]) -> str:
    """An item of the Responses API that is no message has no role, and counts as the user's. So does
    a role that is no text: its server will refuse it."""
    role = message.get("role")
    return role if isinstance(role, str) else "user"


def _decoded_turns(raw: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return _TURNS.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []


def _worded(value: Any, depth: int = 0) -> Iterator[bytes]:
    """What a template would see of it: texts, whether they stand alone or in parts. Anything else,
    such as an image, counts as its JSON."""
    if isinstance(value, str):
        yield value.encode("utf-8", "replace")
    elif isinstance(value, list) and depth < MOST_DEPTH:
        if not value:
            yield b""  # it counts as a part: a call may hold millions
        for each in value:
            yield from _worded(each, depth + 1)
    elif isinstance(value, dict) and isinstance(value.get("text"), str):
        yield value["text"].encode("utf-8", "replace")
    elif isinstance(value, dict) and "content" in value and depth < MOST_DEPTH:
        yield f"\n{value.get('role')}:".encode("utf-8", "replace")
        yield from _worded(value["content"], depth + 1)
    elif value is not None:
        yield msgspec.json.encode(value)


def _decoded(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
