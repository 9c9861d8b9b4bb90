"""What a Messages stream costs and holds is bounded by what the server sends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import UpstreamBroke
from gateway.translation.chat import MOST_HELD_BYTES, MOST_OUTPUT_ITEMS
from gateway.translation.messages.native import NativeStream
from gateway.translation.messages.stream import MessageStream
from tests.gateway.pure.translation.messages_client import events, stamp, to_chat

MANY = 100_000


def chunk(*calls: dict[str, Any], **delta: Any) -> bytes:
    told = {"tool_calls": list(calls), **delta}
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": told}]}).encode() + b"\n\n"


def call(index: int, arguments: str = "", id: str = "", name: str = "t") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"index": index, "id": id or str(index), "function": function}


def test_pieces_that_end_in_a_brace_are_each_looked_at_once_while_a_call_waits():
    held = MessageStream("m", stamp())
    held.feed(chunk(call(0, '{"a":"'), call(1, "{}")))
    brace = chunk(call(0, "x}"))

    for _ in range(MANY):
        held.feed(brace)
    said = events(held.feed(chunk(call(0, '"}'))))

    assert [event["type"] for event in said] == [
        "content_block_delta", "content_block_stop", "content_block_start", "content_block_delta",
    ]  # fmt: skip


@pytest.mark.parametrize("longest", ["id", "name"])
def test_names_and_ids_of_calls_that_are_whole_are_held_and_bounded(longest):
    held = MessageStream("m", stamp())
    long = "n" * 2**20
    for at in range(MOST_HELD_BYTES // 2**20):
        held.feed(chunk(call(at, "{}", **{longest: f"{long}{at}"})))

    assert isinstance(held.error, UpstreamBroke)
    assert held.is_over


def test_an_answer_of_too_many_blocks_is_broken():
    held = MessageStream("m", stamp())
    for at in range(MOST_OUTPUT_ITEMS):
        held.feed(chunk(call(at, "{}")))
    assert held.error is None

    held.feed(chunk(content="one more"))

    assert isinstance(held.error, UpstreamBroke)


def test_a_whole_answer_of_too_many_blocks_is_broken():
    calls = [call(at, "{}") for at in range(MOST_OUTPUT_ITEMS + 1)]
    answer = json.dumps({"choices": [{"message": {"tool_calls": calls}}]}).encode()

    with pytest.raises(UpstreamBroke, match=str(MOST_OUTPUT_ITEMS)):
        to_chat({}).whole(answer)


def test_a_native_stream_is_over_once_it_has_told_of_an_error():
    held = NativeStream()
    held.feed(b'event: ping\ndata: {"type":"ping"}\n\n')
    assert not held.is_over

    held.feed(b'event: error\ndata: {"error":{"message":"dead"}}\n\n')

    assert held.is_over
