"""A streamed completion as the events of a message: order, endings, errors."""

from __future__ import annotations

import json

import pytest

from gateway.errors import UpstreamTimeout
from gateway.sse import MOST_EVENT_BYTES
from gateway.translation.chat import MOST_HELD_BYTES
from gateway.translation.messages.stream import MessageStream
from tests.gateway.pure.translation.messages_client import (
    events,
    final,
    run,
    stamp,
    to_chat,
    translated,
    types,
)

DONE = b"data: [DONE]\n\n"
END = {"finish_reason": "stop"}


def chunk(delta=None, usage=None, **choice):
    choices = [] if delta is None and not choice else [{"index": 0, "delta": delta or {}, **choice}]
    said = {"model": "m", "choices": choices, **({"usage": usage} if usage else {})}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def stream(*deltas, **end):
    return b"".join(map(chunk, deltas)) + chunk({}, **{**END, **end}) + DONE


def piece(arguments="", index=0, id=None, name=None):
    function = {"arguments": arguments, **({"name": name} if name else {})}
    call = {"index": index, "function": function, **({"id": id} if id else {})}
    return {"tool_calls": [call]}


def blocks(*deltas):
    """What each event about a block says, in few words, from `deltas`."""
    said = []
    for event in events(translated(stream(*deltas))):
        if event["type"] == "content_block_start":
            block = event["content_block"]
            said.append(f"{event['index']} {block.get('id', block['type'])}")
        elif event["type"] == "content_block_delta":
            (value,) = (v for k, v in event["delta"].items() if k != "type")
            said.append(
                f"{event['index']}+{value}" if "signature" not in event["delta"] else "sign"
            )
        elif event["type"] == "content_block_stop":
            said.append(f"{event['index']}.")
    return said


def test_a_stream_has_the_events_of_a_message_in_order():
    said = translated(
        stream({"role": "assistant", "content": ""}, {"content": "a"}, {"content": "b"})
    )

    assert types(said) == [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert final(said)["content"] == [{"type": "text", "text": "ab"}]


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        ([], ["0 text", "0."]),
        (
            [{"reasoning": "h"}, {"reasoning": "m"}, {"content": "a"}],
            ["0 thinking", "0+h", "0+m", "sign", "0.", "1 text", "1+a", "1."],
        ),
        ([{"reasoning_content": "h"}], ["0 thinking", "0+h", "sign", "0."]),
        ([{"reasoning": "h", "reasoning_content": "h"}], ["0 thinking", "0+h", "sign", "0."]),
        (
            [{"reasoning": "h", "content": "a"}],
            ["0 thinking", "0+h", "sign", "0.", "1 text", "1+a", "1."],
        ),
        (
            [{"content": "a"}, piece(id="A", name="t"), piece("{"), piece("}")],
            ["0 text", "0+a", "0.", "1 A", "1+{", "1+}", "1."],
        ),
        ([piece(id="A", name="t")], ["0 A", "0."]),
        (
            [piece("{}", 0, "A", "t"), piece("{", 1, "B", "u"), piece("}", 1)],
            ["0 A", "0+{}", "0.", "1 B", "1+{", "1+}", "1."],
        ),
        (  # one index for every call, as some parsers write it
            [piece("{}", 0, "A", "t"), piece("{}", 0, "B", "u")],
            ["0 A", "0+{}", "0.", "1 B", "1+{}", "1."],
        ),
        (  # id and name with every piece
            [piece("{", 0, "A", "t"), piece("}", 0, "A", "t")],
            ["0 A", "0+{", "0+}", "0."],
        ),
        ([piece("{}", 0, "A", "t"), piece("\n")], ["0 A", "0+{}", "0+\n", "0."]),
        (
            [piece("{}", 0, "A", "t"), {"content": "a"}, piece("\n"), {"content": "b"}],
            ["0 A", "0+{}", "0.", "1 text", "1+a", "1+b", "1."],
        ),
    ],
)
def test_deltas_become_blocks(deltas, expected):
    assert blocks(*deltas) == expected


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [
        (  # the second call waits for the first, then goes on live
            [
                piece("{", 0, "A", "t"), piece("{", 1, "B", "u"), piece("}", 0), piece("}", 1),
            ],
            ["0 A", "0+{", "0+}", "0.", "1 B", "1+{", "1+}", "1."],
        ),
        (  # the first is never whole: the second comes at the end
            [piece("{", 0, "A", "t"), piece("{}", 1, "B", "u"), piece('"', 0)],
            ["0 A", "0+{", '0+"', "0.", "1 B", "1+{}", "1."],
        ),
        (  # text amid a call
            [piece("{", 0, "A", "t"), {"content": "a"}, {"content": "b"}, piece("}", 0)],
            ["0 A", "0+{", "0+}", "0.", "1 text", "1+a", "1+b", "1."],
        ),
        (  # three at once
            [
                piece("{", 0, "A", "t"), piece("{", 1, "B", "u"), piece("{}", 2, "C", "v"),
                {"content": "a"}, piece("}", 1), piece("}", 0), {"content": "b"},
            ],
            [
                "0 A", "0+{", "0+}", "0.", "1 B", "1+{", "1+}", "1.", "2 C", "2+{}", "2.",
                "3 text", "3+a", "3+b", "3.",
            ],
        ),
        (  # a brace in a string makes nothing whole
            [piece('{"', 0, "A", "t"), piece("{}", 1, "B", "u"), piece("}", 0), piece('":1}', 0)],
            ["0 A", '0+{"', "0+}", '0+":1}', "0.", "1 B", "1+{}", "1."],
        ),
    ],
)  # fmt: skip
def test_calls_that_are_written_at_once_come_one_after_the_other(deltas, expected):
    assert blocks(*deltas) == expected


def test_a_second_call_does_not_wait_for_the_end_of_the_answer():
    held = to_chat({"stream": True}).stream()
    held.feed(chunk(piece("{", 0, "A", "t")) + chunk(piece("{", 1, "B", "u")))

    said = held.feed(chunk(piece("}", 0)))

    assert b'"id":"B"' in said


def test_the_end_waits_for_the_usage_that_comes_after_it():
    held = to_chat({"stream": True}).stream()

    first = held.feed(chunk({"content": "a"}) + chunk({}, **END))
    second = held.feed(chunk(usage={"prompt_tokens": 7, "completion_tokens": 2}))

    assert "message_delta" not in types(first)
    assert types(second) == ["content_block_stop", "message_delta", "message_stop"]
    assert events(second)[1]["usage"] == {"input_tokens": 7, "output_tokens": 2}
    assert held.feed(DONE) + held.end() == b""


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk({"content": "a"}), chunk({}, **END), DONE],
        [chunk({"content": "a"}), chunk({}, **END)],
        [chunk({"content": "a"}, **END), DONE],
        [chunk({"content": "a"}, **END), chunk(usage={"prompt_tokens": 0}), DONE],
    ],
)
def test_an_answer_ends_with_or_without_usage_and_done(chunks):
    message = final(run(to_chat({"stream": True}).stream(), *chunks))

    assert message["stop_reason"] == "end_turn"
    assert message["usage"] == {"input_tokens": 0, "output_tokens": 0}


@pytest.mark.parametrize(
    ("end", "deltas", "expected"),
    [
        ({"finish_reason": "length"}, [{"content": "a"}], ("max_tokens", None)),
        ({"stop_reason": "END"}, [{"content": "a"}], ("stop_sequence", "END")),
        ({"stop_reason": 4}, [piece("{}", 0, "A", "t")], ("tool_use", None)),
        ({"stop_reason": "END"}, [piece("{}", 0, "A", "t")], ("tool_use", None)),
        ({"stop_reason": "END"}, [piece("{", 0, "A", "t")], ("stop_sequence", "END")),
        ({"finish_reason": "tool_calls"}, [piece("{}", 0, "A", "t")], ("tool_use", None)),
    ],
)
def test_why_it_stopped(end, deltas, expected):
    (delta,) = (
        e for e in events(translated(stream(*deltas, **end))) if e["type"] == "message_delta"
    )

    assert (delta["delta"]["stop_reason"], delta["delta"]["stop_sequence"]) == expected


FAILED = (
    b'data: {"error": {"message": "It broke.", "type": "InternalServerError", "code": 500}}\n\n'
)
STOPPED = chunk({"content": "b"}, finish_reason="abort")


@pytest.mark.parametrize(
    ("chunks", "kind", "message"),
    [
        ([FAILED], "api_error", "It broke."),
        ([FAILED.replace(b"500", b"400")], "invalid_request_error", "It broke."),
        ([FAILED.replace(b"500", b"503")], "overloaded_error", "It broke."),
        ([b'data: {"error": "Unauthorized"}\n\n'], "api_error", "no reason"),
        ([STOPPED, chunk(usage={"prompt_tokens": 1})], "api_error", "stopped"),
        ([chunk({}, finish_reason="error"), DONE], "api_error", "failed before"),
        ([DONE], "api_error", "before the answer"),
        ([], "api_error", "before the answer"),
        ([b"data: nonsense\n\n"], "api_error", "cannot be read"),
        ([b'data: {"object":"thing"}\n\n'], "api_error", "no completion"),
        ([chunk({"content": 3})], "api_error", "a text belongs"),
        ([chunk(piece("{}", 0, "A"))], "api_error", "without a name"),
        (
            [chunk(piece("{}", 0, "A", "t")), chunk({"content": "b"}), chunk(piece("{}"))],
            "api_error",
            "it had finished",
        ),
        ([b"data: " + b"x" * (MOST_EVENT_BYTES + 1)], "api_error", "longer than"),
    ],
)
def test_what_breaks_a_stream_is_its_last_event(chunks, kind, message):
    held = MessageStream("m", stamp())

    said = events(run(held, chunk({"content": "a"}), *chunks, chunk({"content": "c"}), DONE))

    assert [event["type"] for event in said].count("error") == 1
    assert said[-1]["error"]["type"] == kind
    assert message in said[-1]["error"]["message"]
    assert "message_stop" not in [event["type"] for event in said]
    assert str(held.error) == said[-1]["error"]["message"]
    assert held.broken(UpstreamTimeout("late")) == b""


@pytest.mark.parametrize("cut", [b"", b'data: {"choices": [{"del', b"data: [DONE]"])
def test_a_stream_that_is_cut_off_before_its_end_is_no_answer(cut):
    said = events(translated(chunk({"content": "a"}) + cut))

    assert said[-1]["error"]["type"] == "api_error"


def test_what_was_said_before_the_break_goes_out():
    said = types(translated(chunk({"content": "a"}) + FAILED))

    assert said[-2:] == ["content_block_delta", "error"]


def test_a_stream_that_is_broken_from_outside_ends_with_that_error():
    held = to_chat({"stream": True}).stream()
    held.feed(chunk({"content": "a"}))

    said = events(held.broken(UpstreamTimeout("Silent for 60 s.")))

    assert [event["error"]["message"] for event in said] == ["Silent for 60 s."]
    assert held.feed(chunk({"content": "b"})) + held.end() == b""


def test_what_a_server_leaves_out_or_says_is_null_is_nothing():
    bare = b'data: {"choices":[{"delta":null}]}\n\n'
    unnamed = chunk({"tool_calls": [{"index": 0, "function": None}]})
    end = b'data: {"choices":[{"finish_reason":"tool_calls"}]}\n\n'

    message = final(translated(bare + chunk(piece("{}", 0, "A", "t")) + unnamed + end + DONE))

    assert [block["id"] for block in message["content"]] == ["A"]


def test_who_asks_for_edits_is_told_in_the_last_delta():
    edits = {"edits": [{"type": "clear_thinking_20251015"}]}
    held = to_chat({"stream": True, "context_management": edits}).stream()

    (delta,) = (
        e for e in events(run(held, stream({"content": "a"}))) if e["type"] == "message_delta"
    )

    assert delta["context_management"] == {"applied_edits": []}


@pytest.mark.parametrize(
    "delta", [{"content": "x" * 2**20}, piece("", 0, "B", "x" * 2**20)], ids=["text", "calls"]
)
def test_what_waits_is_bounded(delta):
    held = MessageStream("m", stamp())
    held.feed(chunk(piece("{", 0, "A", "t")))

    pieces = range(MOST_HELD_BYTES // 2**20 + 1)
    said = b"".join(held.feed(chunk(delta).replace(b'"B"', b'"%d"' % i)) for i in pieces)

    assert events(said)[-1]["error"]["type"] == "api_error"
    assert held.is_over
