"""What a Responses call costs and holds is bounded, whatever its client or server sends."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest, UnknownItem, UpstreamBroke
from gateway.translation import EventStream
from gateway.translation.chat import MOST_HELD_BYTES, MOST_OUTPUT_ITEMS
from gateway.translation.responses import Echo, Restamped, expanded, read
from gateway.translation.responses.ask import MOST_ITEMS, MOST_REFERENCES
from gateway.translation.responses.blocks import Blocks
from gateway.translation.responses.numbered import Numbered
from tests.gateway.pure.translation.responses_client import (
    DONE,
    call_delta,
    chat_of,
    chunk,
    members,
    stamp,
    translated,
)

LONG = "x" * 2**20
CUSTOM = {"tools": [{"type": "custom", "name": "c"}]}
SAID = {"role": "user", "content": "a"}


def begun(**call: Any) -> EventStream:
    return translated({"stream": True, **call}).stream()


def test_a_long_event_in_small_pieces_is_copied_once():
    blocks, piece = Blocks(), b"a" * 64
    for _ in range(2**24 // len(piece)):
        assert not blocks.feed(piece)

    (event,) = blocks.feed(b"\n\nb")

    assert len(event) == 2**24 + 2
    assert blocks.rest() == b"b"


def test_custom_arguments_that_are_held_back_are_bounded():
    stream = begun(**CUSTOM)
    stream.feed(chunk(call_delta(0, "strange " * 100, "c")))

    for _ in range(MOST_HELD_BYTES // len(LONG) - 1):
        stream.feed(chunk(call_delta(0, LONG)))

    with pytest.raises(UpstreamBroke, match=str(MOST_HELD_BYTES)):
        stream.feed(chunk(call_delta(0, LONG)))


def test_custom_arguments_that_were_held_back_are_told_at_the_end():
    stream = begun(**CUSTOM)
    stream.feed(chunk(call_delta(0, "strange " * 100, "c")))
    for _ in range(10):
        stream.feed(chunk(call_delta(0, LONG)))

    told = stream.feed(chunk({}, finish_reason="stop") + DONE)

    assert len(told) > 10 * len(LONG)
    assert stream.error is None


@pytest.mark.parametrize("longest", ["id", "name"])
def test_names_and_ids_of_calls_without_arguments_are_bounded(longest):
    stream = begun()
    named = {"id": "a", "name": "n", longest: LONG}
    call = {"id": named["id"], "function": {"name": named["name"]}}
    for at in range(MOST_HELD_BYTES // len(LONG) - 1):
        stream.feed(chunk({"tool_calls": [{"index": at, **call}]}))

    with pytest.raises(UpstreamBroke, match=str(MOST_HELD_BYTES)):
        stream.feed(chunk({"tool_calls": [{"index": 100, **call}]}))


def test_an_answer_of_too_many_items_is_broken():
    stream = begun()
    for at in range(MOST_OUTPUT_ITEMS):
        stream.feed(chunk({"content": "a"} if at % 2 else {"reasoning": "b"}))

    with pytest.raises(UpstreamBroke, match=str(MOST_OUTPUT_ITEMS)):
        stream.feed(chunk(call_delta(0, "", "f")))


def test_a_whole_answer_of_too_many_items_is_broken():
    calls = [{"function": {"name": "f"}}] * (MOST_OUTPUT_ITEMS + 1)
    answer = json.dumps({"choices": [{"message": {"tool_calls": calls}}]}).encode()

    with pytest.raises(UpstreamBroke, match=str(MOST_OUTPUT_ITEMS)):
        translated({}).whole(answer)


def test_a_stream_is_over_once_its_last_event_is_told():
    stream = begun()
    stream.feed(chunk({"content": "a"}, finish_reason="stop"))
    assert not stream.is_over

    stream.feed(DONE)

    assert stream.is_over


@pytest.mark.parametrize("stream", [Numbered(), Restamped(Echo())])
def test_a_native_stream_goes_on_as_long_as_the_server_does(stream):
    stream.feed(b'event: response.completed\ndata: {"sequence_number":1}\n\n')

    assert not stream.is_over


@pytest.mark.parametrize("item", ["[]", "1", "null", '"a"'])
def test_the_first_item_that_is_no_object_ends_the_reading(item):
    given = {"input": msgspec.Raw(("[" + f"{item}," * 40_000 + item + "]").encode())}

    tracemalloc.start()
    with pytest.raises(InvalidRequest) as refused:
        read(given, stamp())
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert refused.value.param == "input[0]"
    assert held < 2**18


def test_items_beyond_the_most_are_not_read():
    most = [SAID] * MOST_ITEMS
    assert len(read(members({"input": most}), stamp()).items) == MOST_ITEMS

    with pytest.raises(InvalidRequest) as refused:
        read(members({"input": [*most, SAID, "no item at all"]}), stamp())

    assert refused.value.param == "input"
    assert str(MOST_ITEMS) in str(refused.value)


def test_too_many_references_are_refused():
    most = [{"type": "item_reference", "id": "a"}] * MOST_REFERENCES
    assert read(members({"input": most}), stamp()).references == {"a"}

    with pytest.raises(InvalidRequest) as refused:
        read(members({"input": [*most, {"id": "b"}]}), stamp())

    assert refused.value.param == "input"


def part(**members: Any) -> dict[str, Any]:
    return {"input": [{"role": "user", "content": [members]}]}


def tool(**members: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "name": "f", **members}]}


@pytest.mark.parametrize("value", [LONG, [LONG], {LONG: 1}, [1] * 2**16], ids=type)
@pytest.mark.parametrize(
    "member",
    [
        lambda value: tool(type=value),
        lambda value: part(type=value),
        lambda value: {"input": [{"type": value}]},
        lambda value: {"input": [{"type": "item_reference", "id": value}]},
        lambda value: {"tool_choice": {"type": value}},
        lambda value: {**tool(), "tool_choice": {"type": "function", "name": value}},
        lambda value: {"metadata": {str(value): 1}},
        lambda value: {
            "tools": [tool(name=str(value), strict=strict)["tools"][0] for strict in (True, False)]
        },
    ],
)
def test_a_refusal_repeats_little_of_what_the_client_sent(member, value):
    with pytest.raises(InvalidRequest) as refused:
        chat_of(member(value))

    assert len(str(refused.value)) < 500
    assert len(refused.value.param or "") < 200


def test_an_unknown_item_is_named_in_short():
    given = members({"input": [{"type": "item_reference", "id": LONG}]})

    with pytest.raises(UnknownItem) as refused:
        expanded(given, read(given, stamp()), [], {})

    assert len(str(refused.value)) < 200
