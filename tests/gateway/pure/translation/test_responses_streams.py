"""A chat stream becomes the events of the Responses API, and ends well however it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.calls import read_members
from gateway.errors import UpstreamBroke
from gateway.refusals import MOST_MESSAGE_CHARACTERS
from gateway.translation.chat import NO_REASON
from gateway.translation.responses import Echo, to_chat
from tests.gateway.pure.translation.responses_client import (
    DONE,
    MODEL,
    Events,
    call_delta,
    chunk,
    stamp,
    streamed,
    told,
    translated,
    usage,
)

FIRST = chunk({"role": "assistant", "content": ""})
BEGUN = ["response.created", "response.in_progress"]
USAGE = b"data: " + json.dumps({"choices": [], "usage": usage()}).encode() + b"\n\n"
TEXT = [
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
REASONING = [name.replace("output_text", "reasoning_text") for name in TEXT]
CALL = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]


@pytest.mark.parametrize("member", ["reasoning", "reasoning_content"])
def test_reasoning_text_and_a_call_open_and_close_in_order(member):
    events = streamed(
        {"tools": [{"type": "function", "name": "f"}]},
        [
            FIRST,
            chunk({member: "hm"}),
            chunk({"content": "a"}),
            chunk(call_delta(0, "{}", "f"), finish_reason="tool_calls"),
            USAGE,
            DONE,
        ],
    )

    assert events.names == [*BEGUN, *REASONING, *TEXT, *CALL, "response.completed"]
    assert [event["sequence_number"] for event in events.events] == list(range(len(events.names)))
    assert [event["output_index"] for event in events.of("output_item.done")] == [0, 1, 2]
    assert [event["item"] for event in events.of("output_item.done")] == events.final["output"]
    assert events.final["usage"]["output_tokens"] == 5
    assert events.of("function_call_arguments.done")[0]["name"] == "f"


@pytest.mark.parametrize(
    ("reason", "last", "status"),
    [
        ("stop", "response.completed", "completed"),
        ("length", "response.incomplete", "incomplete"),
        ("content_filter", "response.incomplete", "incomplete"),
        ("abort", "response.failed", "incomplete"),
        ("error", "response.failed", "incomplete"),
    ],
)
@pytest.mark.parametrize("ending", [[DONE], [USAGE, DONE], [USAGE], []])
def test_the_last_event_says_how_it_finished(reason, last, status, ending):
    events = streamed({}, [chunk({"content": "a"}, finish_reason=reason), *ending])

    assert events.names[-1] == last
    assert events.final["output"][0]["status"] == status
    assert (events.final["usage"] is not None) == (USAGE in ending)


@pytest.mark.parametrize("ending", [b"", DONE])
def test_a_stream_that_ends_before_the_answer_does_is_a_failed_response(ending):
    events = streamed({}, [chunk({"content": "a"}), ending])

    assert events.names == [*BEGUN, *TEXT[:3], "response.failed"]
    assert events.final["error"]["code"] == "server_error"
    assert events.final["output"][0]["content"][0]["text"] == "a"


def test_an_error_of_the_server_is_told_in_its_words_and_ends_the_stream():
    error = b'data: {"error": {"message": "EngineCore died", "code": 500}}\n\n'

    events = streamed({}, [FIRST, chunk({"content": "a"}), error, chunk({"content": "b"}), DONE])

    assert events.names[-1] == "response.failed"
    assert events.final["error"] == {
        "code": "server_error",
        "message": "EngineCore died",
        "type": None,
        "param": None,
    }


@pytest.mark.parametrize(
    ("error", "told", "type_"),
    [
        ({"message": "Too long.", "code": 400}, "Too long.", "invalid_request_error"),
        ({"message": "Busy.", "code": 503}, "Busy.", "server_error"),
        ("Unauthorized", NO_REASON, "provider_error"),
        ({"message": "x" * 9999}, "x" * MOST_MESSAGE_CHARACTERS, "provider_error"),
    ],
)
def test_what_ended_the_stream_is_known_by_its_kind(error, told, type_):
    stream = translated({"stream": True}).stream()

    events = Events.read(stream.feed(b"data: " + json.dumps({"error": error}).encode() + b"\n\n"))

    assert events.final["error"]["message"] == told
    assert stream.error is not None
    assert (str(stream.error), stream.error.type) == (told, type_)


@pytest.mark.parametrize("before", [[], [FIRST], [chunk({"content": "a"})]])
def test_a_broken_stream_ends_with_a_failed_response_and_the_next_number(before):
    stream = translated({"stream": True}).stream()

    said = b"".join(map(stream.feed, before)) + stream.broken(UpstreamBroke("It broke off."))

    events = Events.read(said + stream.end() + stream.broken(UpstreamBroke("Again.")))
    assert events.names[:2] == BEGUN
    assert events.names[-1] == "response.failed"
    assert events.names.count("response.failed") == 1
    assert events.events[-1]["sequence_number"] == len(events.events) - 1
    assert events.final["error"]["message"] == "It broke off."


@pytest.mark.parametrize(
    "garbage",
    [
        b"data: {\n\n",
        b"data: 5\n\n",
        b"data: \xff\n\n",
        b'data: {"choices":[{"delta":{"content":5}}]}\n\n',
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        chunk({"content": "x"}, logprobs={"content": 3}),
    ],
)
def test_what_is_no_chat_stream_is_the_server_s_fault_and_loses_nothing_said(garbage):
    stream = translated({"stream": True, "top_logprobs": 1}).stream()

    with pytest.raises(UpstreamBroke) as broke:
        stream.feed(chunk({"content": "a"}) + garbage)

    events = Events.read(stream.broken(broke.value))
    assert events.names[:5] == [*BEGUN, *TEXT[:3]]
    assert [event["sequence_number"] for event in events.events] == list(range(len(events.names)))


def calls(events: Events) -> list[tuple[str, str]]:
    return [(item["name"], item["arguments"]) for item in events.final["output"]]


def test_calls_one_after_the_other_close_one_before_the_other():
    pieces = [chunk(call_delta(0, "{}", "f")), chunk(call_delta(1, "{}", "g"))]

    events = streamed({}, [*pieces, chunk({}, finish_reason="tool_calls"), DONE])

    assert events.names == [*BEGUN, *CALL, *CALL, "response.completed"]
    assert calls(events) == [("f", "{}"), ("g", "{}")]


def test_calls_under_one_index_are_told_apart_by_their_ids():
    """As some parsers write them; others repeat the id with every piece."""
    first, second = (call_delta(0, "{", name) for name in ("f", "g"))
    second["tool_calls"][0]["id"] = "call_other"
    deltas = [first, call_delta(0, "}"), second, {"tool_calls": [{**second["tool_calls"][0]}]}]
    deltas[-1]["tool_calls"][0]["function"] = {"name": "g", "arguments": "}"}

    events = streamed({}, [*map(chunk, deltas), chunk({}, finish_reason="tool_calls"), DONE])

    assert calls(events) == [("f", "{}"), ("g", "{}")]
    assert [item["call_id"] for item in events.final["output"]] == ["call_0", "call_other"]


def test_calls_that_come_mixed_keep_their_own_arguments():
    deltas = [
        call_delta(0, '{"a"', "f"),
        call_delta(1, "{", "g"),
        call_delta(0, ":1}"),
        call_delta(1, "}"),
        call_delta(0, "\n"),
    ]

    events = streamed({}, [*map(chunk, deltas), chunk({}, finish_reason="tool_calls"), DONE])

    assert calls(events) == [("f", '{"a":1}\n'), ("g", "{}")]
    for index, (_, arguments) in enumerate(calls(events)):
        told_of = [
            event["delta"]
            for event in events.of("function_call_arguments.delta")
            if event["output_index"] == index
        ]
        assert "".join(told_of) == arguments
    assert [event["output_index"] for event in events.of("output_item.done")] == [0, 1]


def test_a_call_that_was_finished_does_not_go_on():
    deltas = [call_delta(0, "{}", "f"), call_delta(1, "{}", "g"), call_delta(0, " ")]
    assert calls(streamed({}, [*map(chunk, deltas), chunk({}, finish_reason="stop")]))[0][1] == "{}"

    with pytest.raises(UpstreamBroke):
        streamed({}, [*map(chunk, deltas), chunk(call_delta(0, "more"))])


def entry(token: str) -> dict[str, Any]:
    top = {"token": token, "logprob": -0.5, "bytes": list(token.encode())}
    return {**top, "top_logprobs": [top]}


def test_logprobs_of_what_is_no_whole_character_yet_go_with_the_next_text():
    pieces = [
        chunk({"content": ""}, logprobs={"content": [entry("a")]}),
        chunk({"content": "ab"}, logprobs={"content": [entry("b")]}),
        chunk({"content": ""}, logprobs={"content": [entry("c")]}, finish_reason="stop"),
    ]

    events = streamed({"top_logprobs": 1}, pieces)

    short = {"token": "a", "logprob": -0.5, "top_logprobs": [{"token": "a", "logprob": -0.5}]}
    (delta,) = events.of("output_text.delta")
    assert delta["logprobs"][0] == short
    assert len(delta["logprobs"]) == 2
    assert events.final["output"][0]["content"][0]["logprobs"] == [*map(entry, "abc")]
    assert streamed({}, pieces).of("output_text.delta")[0]["logprobs"] == []


def test_what_the_client_wrote_over_many_lines_stays_one_event():
    asked = {
        "input": "Hi",
        "stream": True,
        "metadata": {"a": "b"},
        "tools": [{"type": "custom", "name": "p"}],
    }
    call = to_chat(read_members(json.dumps(asked, indent=1).encode()), MODEL, stamp(), Echo())

    said = told(call.stream(), [chunk({"content": "a"}, finish_reason="stop")])

    assert all(event.count(b"\n") == 1 for event in said.split(b"\n\n")[:-1])
    assert Events.read(said).final["metadata"] == {"a": "b"}


def test_keep_alive_comments_begin_the_stream_and_nothing_else_does():
    stream = translated({"stream": True}).stream()

    assert stream.feed(b"") == b""
    assert Events.read(stream.feed(b": keep-alive\n\n")).names == BEGUN
    assert stream.feed(b": keep-alive\n\n") == b""


def test_a_stream_without_any_byte_still_begins_before_it_fails():
    events = streamed({}, [])

    assert events.names == [*BEGUN, "response.failed"]
    assert [event["sequence_number"] for event in events.events] == [0, 1, 2]
