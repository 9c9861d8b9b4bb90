"""A client of the Responses API, and the server's side of it, for the tests beside this file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st

from gateway import sse
from gateway.calls import read_members
from gateway.translation import EventStream, Stamp, Translation
from gateway.translation.responses import Echo, to_chat

MODEL = "meta-llama/Llama-3.1-8B-Instruct"
DONE = b"data: [DONE]\n\n"
unhurried = settings(deadline=None)
"""The machine may be busy: how long an example takes says nothing."""


def stamp() -> Stamp:
    """Ids that count up, so that two answers to one call are told with the same ones."""
    numbers = itertools.count(1)
    return Stamp(1_700_000_000, lambda prefix: f"{prefix}_{next(numbers):032x}")


def members(call: dict[str, Any]) -> dict[str, msgspec.Raw]:
    return read_members(json.dumps(call).encode())


def translated(call: dict[str, Any], echo: Echo | None = None) -> Translation:
    return to_chat(members({"input": "Hi", **call}), MODEL, stamp(), echo or Echo())


def chat_of(call: dict[str, Any]) -> Any:
    """The chat call that a create call becomes."""
    return json.loads(translated(call).body)


def chunk(delta: dict[str, Any] | None = None, **choice: Any) -> bytes:
    choices = [] if delta is None else [{"index": 0, "delta": delta, **choice}]
    return sse.event(json.dumps({"id": "chatcmpl-1", "choices": choices}).encode())


def usage(prompt: int = 3, completion: int = 5) -> dict[str, Any]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 2, "created_cache_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 4},
    }


def call_delta(index: int, arguments: str, name: str | None = None) -> dict[str, Any]:
    """One tool call's delta; with a name it is the first."""
    function = {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}
    begun = {} if name is None else {"id": f"call_{index}", "type": "function"}
    return {"tool_calls": [{"index": index, **begun, "function": function}]}


def told(stream: EventStream, pieces: Iterable[bytes]) -> bytes:
    return b"".join(stream.feed(piece) for piece in pieces) + stream.end()


@dataclass
class Events:
    """A stream as a client reads it."""

    names: list[str] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, stream: bytes) -> Events:
        read = cls()
        for event in sse.Parser().feed(stream):
            data = json.loads(event.data)
            assert data["type"] == event.name.decode()
            read.names.append(event.name.decode())
            read.events.append(data)
        return read

    @property
    def final(self) -> dict[str, Any]:
        response: dict[str, Any] = self.events[-1]["response"]
        return response

    def of(self, name: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == f"response.{name}"]


def streamed(call: dict[str, Any], pieces: Sequence[bytes], echo: Echo | None = None) -> Events:
    return Events.read(told(translated({"stream": True, **call}, echo).stream(), pieces))


def without_ids(value: Any) -> Any:
    """`value` but for what differs from answer to answer."""
    if isinstance(value, dict):
        return {
            key: without_ids(inner)
            for key, inner in value.items()
            if key not in ("id", "item_id", "created_at")
        }
    return [without_ids(inner) for inner in value] if isinstance(value, list) else value


@st.composite
def cut(draw: st.DrawFn, stream: bytes) -> list[bytes]:
    """`stream` in any pieces, some of them empty."""
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [stream[i:j] for i, j in itertools.pairwise([0, *cuts, len(stream)])]
