"""What holds for every stream, conversation and body."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest, UpstreamBroke
from gateway.translation import Translation, messages
from tests.gateway.pure.translation.messages_client import (
    LEAST,
    chat,
    events,
    final,
    plain,
    raw,
    run,
    stamp,
    to_chat,
    translated,
)
from tests.gateway.pure.translation.responses_client import unhurried

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NAMES = st.sampled_from(["look", "write", "run"])
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
INPUTS = st.dictionaries(TEXTS, JSON, max_size=3)


@st.composite
def completions(draw):
    """A chat completion, as one message and as the deltas of a stream."""
    calls = [
        {
            "id": f"call_{i}",
            "type": "function",
            "function": {"name": draw(NAMES), "arguments": json.dumps(draw(INPUTS))},
        }
        for i in range(draw(st.integers(0, 3)))
    ]
    message = {
        "content": draw(st.none() | TEXTS),
        draw(st.sampled_from(["reasoning", "reasoning_content"])): draw(st.none() | TEXTS),
        "tool_calls": calls,
    }
    stop = draw(st.none() | st.sampled_from(["END", 4]))
    end = {
        "finish_reason": draw(st.sampled_from(["stop", "length", "tool_calls"])),
        "stop_reason": stop,
    }
    usage = {
        "prompt_tokens": draw(st.integers(0, 99)),
        "completion_tokens": draw(st.integers(0, 99)),
        "prompt_tokens_details": draw(
            st.none() | st.fixed_dictionaries({"cached_tokens": st.integers(0, 50)})
        ),
    }
    return message, end, usage


def cut(draw, text):
    """`text` in pieces."""
    places = sorted(draw(st.sets(st.integers(1, max(len(text) - 1, 1)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, None], strict=True)]


def of_calls(draw, calls):
    """The deltas of calls, each in order, all at once in any way the calls begin in order."""
    queues = []
    for i, call in enumerate(calls):
        name = {"name": call["function"]["name"]}
        first = {"index": i, "id": call["id"], "type": "function", "function": name}
        rest = [
            {"index": i, "function": {"arguments": piece}}
            for piece in cut(draw, call["function"]["arguments"])
        ]
        queues.append([first, *rest])
    deltas, begun = [], 0
    while any(queues):
        open_ones = [i for i, queue in enumerate(queues[: begun + 1]) if queue]
        i = draw(st.sampled_from(open_ones))
        begun = max(begun, i + 1)
        deltas.append({"tool_calls": [queues[i].pop(0)]})
    return deltas


@st.composite
def both(draw):
    """The same completion whole and streamed."""
    message, end, usage = draw(completions())
    deltas = [
        {name: piece}
        for name in ("reasoning", "reasoning_content", "content")
        if message.get(name)
        for piece in cut(draw, message[name])
    ]
    deltas += of_calls(draw, message["tool_calls"])
    chunks: list[dict[str, Any]] = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, **end}]})
    chunks.append({"choices": [], "usage": usage})
    if draw(st.booleans()):
        chunks[0]["usage"] = {"prompt_tokens": 5, "completion_tokens": 0}
    lines = [json.dumps({"model": "m", **chunk}).encode() for chunk in chunks]
    stream = b"".join(b"data: " + line + b"\n\n" for line in [*lines, b"[DONE]"])
    choice = {"index": 0, "message": message, **end}
    return json.dumps({"model": "m", "choices": [choice], "usage": usage}).encode(), stream


@unhurried
@given(both())
def test_the_streamed_message_is_the_plain_one(answers):
    whole, stream = answers

    assert final(translated(stream)) == plain(json.loads(to_chat({}).whole(whole)))


@unhurried
@given(both())
def test_blocks_never_overlap_and_are_numbered_in_order(answers):
    is_open, count = False, 0
    for event in events(translated(answers[1])):
        if event["type"] == "content_block_start":
            assert (is_open, event["index"]) == (False, count)
            is_open = True
        elif event["type"].startswith("content_block"):
            assert (is_open, event["index"]) == (True, count)
        if event["type"] == "content_block_stop":
            is_open, count = False, count + 1
    assert not is_open


@unhurried
@given(both(), st.data())
def test_where_a_stream_is_cut_changes_nothing(answers, data):
    stream = answers[1] + data.draw(st.binary(max_size=20))
    pieces = cut(data.draw, stream)

    assert run(to_chat({"stream": True}).stream(), *pieces) == translated(stream)


@unhurried
@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=3))
def test_no_stream_of_bytes_raises(noise, places):
    pieces = [
        noise[a:b] for a, b in zip([0, *sorted(places)], [*sorted(places), None], strict=True)
    ]

    assert run(to_chat({"stream": True}).stream(), *pieces) == translated(noise)


def text(said):
    return {"type": "text", "text": said}


def thought(said):
    return {"type": "thinking", "thinking": said, "signature": "s"}


@st.composite
def turns_of_an_assistant(draw):
    """Blocks in the order that both dialects can hold: one thought, one text, calls."""
    blocks = [thought(draw(TEXTS))] if draw(st.booleans()) else []
    blocks += [text(draw(TEXTS))] if draw(st.booleans()) or not blocks else []
    for i in range(draw(st.integers(0, 3))):
        use = {"id": f"toolu_{i}", "name": draw(NAMES), "input": draw(INPUTS)}
        blocks.append({"type": "tool_use", **use})
    return blocks


@unhurried
@given(turns_of_an_assistant())
def test_an_assistants_turn_is_the_same_after_chat_and_back(blocks):
    (message,) = chat(messages=[{"role": "assistant", "content": blocks}])["messages"]
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    back = to_chat({}).whole(json.dumps({"model": "m", "choices": [choice]}).encode())

    unsigned = [{k: v for k, v in block.items() if k != "signature"} for block in blocks]
    assert plain(json.loads(back))["content"] == unsigned


KNOWN = st.sampled_from([
    "model", "messages", "system", "max_tokens", "stop_sequences", "stream", "metadata", "tools",
    "tool_choice", "thinking", "output_config", "output_format", "context_management",
    "service_tier", "chat_template_kwargs", "container", "n", "stop", "extra",
])  # fmt: skip
WORDS = st.sampled_from([
    "type", "text", "image", "source", "base64", "media_type", "data", "url", "document", "title",
    "content", "role", "user", "assistant", "system", "tool_use", "tool_result", "tool_use_id",
    "id", "name", "input", "input_schema", "thinking", "auto", "tool", "enabled", "format",
    "json_schema", "schema", "edits", "is_error", "citations", "search_result", "tool_name",
    "compaction", "tool_addition", "tool_removal", "definition", "bash_20250124", "memory_20250818",
    "computer_20251124", "display_width_px", "web_search_20250305", "tool_search_tool_result",
    "tool_references", "server_tool_use", "application/pdf", "file", "file_id", "stdout",
])  # fmt: skip
LIKELY: st.SearchStrategy[Any] = st.recursive(
    WORDS
    | st.none()
    | st.booleans()
    | st.integers(-1, 5000)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
BLOCKS = st.fixed_dictionaries(
    {"type": WORDS},
    optional=dict.fromkeys(("text", "source", "content", "input", "id", "name"), LIKELY),
)
TURNS = st.lists(st.fixed_dictionaries({"role": WORDS, "content": st.lists(BLOCKS, max_size=3) | LIKELY}), max_size=3)  # fmt: skip


def refusal(translate: Callable[[], Translation]) -> InvalidRequest | None:
    """None where it is translated, and then to JSON. No other exception is caught."""
    try:
        assert isinstance(json.loads(translate().body), dict)
    except InvalidRequest as refused:
        return refused
    return None


@unhurried
@given(st.dictionaries(KNOWN, LIKELY | JSON | BLOCKS), st.none() | TURNS)
def test_any_json_is_translated_or_refused(members, turns):
    asked = raw({**LEAST, **members, **({"messages": turns} if turns is not None else {})})
    refusals = [
        refusal(lambda: messages.to_chat(asked, "m", stamp())),
        refusal(lambda: messages.to_tokenize(asked, "m")),
    ]

    assert all(refused.param for refused in refusals if refused is not None)


FOREIGN = st.builds(
    lambda members, kind: {**members, "type": kind},
    st.dictionaries(WORDS, LIKELY | JSON, max_size=4),
    st.sampled_from(["server_tool_use", "mcp_tool_result", "container_upload", "hologram", ""]),
)


@unhurried
@given(st.lists(FOREIGN, max_size=3), st.sampled_from(["user", "assistant", "system"]))
def test_no_block_of_a_foreign_type_ends_a_session(blocks, role):
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": role, "content": [text("a"), *blocks, text("b")]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": blocks}]},
    ]  # fmt: skip

    said = json.dumps(chat(messages=turns)["messages"])

    assert '"role": "tool"' in said


@unhurried
@given(st.dictionaries(st.sampled_from(["model", "choices", "usage", "count"]), LIKELY | JSON))
def test_any_json_of_a_server_is_an_answer_or_its_fault(answer):
    body = json.dumps(answer).encode()
    for translation in (to_chat({}), messages.to_tokenize(raw(LEAST), "m")):
        with contextlib.suppress(UpstreamBroke):
            assert isinstance(json.loads(translation.whole(body)), dict)


@pytest.mark.parametrize("input", [b'{"a":"\xff"}', b"[" * 50_000])
def test_an_input_that_is_no_json_is_refused(input):
    use = b'{"type":"tool_use","id":"1","name":"t","input":' + input + b"}"
    turns = b'[{"role":"assistant","content":[' + use + b"]}]"
    members = {**raw(LEAST), "messages": msgspec.Raw(turns)}

    refused = refusal(lambda: messages.to_chat(members, "m", stamp()))

    assert refused is not None
    assert str(refused.param).startswith("messages")
