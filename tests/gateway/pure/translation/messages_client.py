"""What an Anthropic client makes of an answer: its own types, and its way to add events up."""

from __future__ import annotations

import itertools
import json
from typing import Any

import msgspec
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from gateway import sse
from gateway.calls import read_members
from gateway.translation import EventStream, Stamp, Translation, messages

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
LEAST = {"model": "public", "max_tokens": 100, "messages": [{"role": "user", "content": "Hi"}]}


def stamp() -> Stamp:
    """The same ids each time."""
    numbers = itertools.count(1)
    return Stamp(1_700_000_000, lambda prefix: f"{prefix}_{next(numbers):032x}")


def raw(members: dict[str, Any]) -> dict[str, msgspec.Raw]:
    return read_members(json.dumps(members).encode())


def to_chat(members: dict[str, Any]) -> Translation:
    """A call with these members, and with those that each call must have."""
    return messages.to_chat(raw({**LEAST, **members}), "upstream", stamp())


def chat(**members: Any) -> Any:
    """The chat call that it becomes, decoded."""
    return json.loads(to_chat(members).body)


def events(stream: bytes) -> list[Any]:
    """What each event says, and that its name is its type."""
    found = []
    for event in sse.Parser().feed(stream):
        said = json.loads(event.data)
        assert said["type"].encode() == event.name
        found.append(said)
    return found


def types(stream: bytes) -> list[str]:
    return [event["type"] for event in events(stream)]


def final(stream: bytes) -> dict[str, Any]:
    """The message that the SDK has in the end. Every event must fit the SDK's own types."""
    snapshot: Any = None
    buffers: dict[int, bytes] = {}
    for event in events(stream):
        if event["type"] == "ping":
            continue
        parsed = EVENT.validate_python(event, strict=True)
        snapshot = accumulate_event(event=parsed, current_snapshot=snapshot, json_bufs=buffers)
    assert events(stream)[-1] == {"type": "message_stop"}
    return plain(json.loads(snapshot.to_json()))


def plain(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs by chance: its ids, and members that say nothing."""
    Message.model_validate(message, strict=True)
    kept = {name: value for name, value in message.items() if value is not None}
    content = [
        {name: value for name, value in block.items() if value is not None and name != "signature"}
        for block in message["content"]
    ]
    usage = {name: value for name, value in message["usage"].items() if value is not None}
    return {**kept, "id": "", "content": content, "usage": usage}


def run(stream: EventStream, *pieces: bytes) -> bytes:
    return b"".join(map(stream.feed, pieces)) + stream.end()


def translated(chat_stream: bytes) -> bytes:
    return run(to_chat({"stream": True}).stream(), chat_stream)
