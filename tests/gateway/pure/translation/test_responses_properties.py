"""What holds for every completion: cuts change nothing, streamed is whole, and there and back loses
nothing."""

from __future__ import annotations

import itertools
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai import Omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway import sse
from gateway.translation.responses import Watch
from tests.gateway.pure.translation.responses_client import (
    DONE,
    Events,
    chat_of,
    chunk,
    cut,
    told,
    translated,
    unhurried,
    usage,
    without_ids,
)

SDK_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
TOOLS = [
    {"type": "function", "name": "f", "parameters": {"type": "object"}},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "ns", "description": "d", "tools": [
        {"type": "function", "name": "g", "parameters": {"type": "object"}}]},
]  # fmt: skip
ASKED = {"stream": True, "tools": TOOLS, "include": ["reasoning.encrypted_content"]}
REASONS = ["stop", "tool_calls", "length", "content_filter"]

said = st.text(min_size=1, max_size=12)
objects = st.dictionaries(st.text(max_size=3), st.text(max_size=5), max_size=2).map(json.dumps)


@st.composite
def tool_calls(draw: st.DrawFn) -> list[dict[str, Any]]:
    made = []
    for number in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(["f", "patch", "ns__g"]))
        arguments = draw(objects if name != "patch" else st.text(max_size=9).map(as_input))
        function = {"name": name, "arguments": arguments}
        made.append({"id": f"call_{number}", "type": "function", "function": function})
    return made


def as_input(text: str) -> str:
    """As our own translation writes it: without spaces."""
    return json.dumps({"input": text}, separators=(",", ":"), ensure_ascii=False)


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    message = {
        "role": "assistant",
        "content": draw(st.none() | said),
        "reasoning": draw(st.none() | said),
        "tool_calls": draw(tool_calls()),
    }
    reason = draw(st.sampled_from(REASONS))
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {"choices": [choice], "usage": usage()}


@st.composite
def in_pieces(draw: st.DrawFn, text: str) -> list[str]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    return [text[i:j] for i, j in itertools.pairwise([0, *cuts, len(text)])]


@st.composite
def deltas_of(draw: st.DrawFn, message: dict[str, Any]) -> list[dict[str, Any]]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    for member in ("reasoning", "content"):
        deltas += [{member: piece} for piece in draw(in_pieces(message[member] or ""))]
    for index, call in enumerate(message["tool_calls"]):
        first, *rest = draw(in_pieces(call["function"]["arguments"]))
        function = {"name": call["function"]["name"], "arguments": first}
        deltas.append({"tool_calls": [{**call, "index": index, "function": function}]})
        deltas += [
            {"content": None, "tool_calls": [{"index": index, "function": {"arguments": piece}}]}
            for piece in rest
        ]
    return deltas


@st.composite
def chat_streams(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A completion, and a stream that says it."""
    completion = draw(completions())
    choice = completion["choices"][0]
    deltas = draw(deltas_of(choice["message"]))
    last = chunk({}, finish_reason=choice["finish_reason"])
    end = sse.event(json.dumps({"choices": [], "usage": completion["usage"]}).encode()) + DONE
    return completion, b"".join(map(chunk, deltas)) + last + end


@unhurried
@given(st.data())
def test_a_stream_cut_anywhere_gives_the_same_bytes(data):
    _, stream = data.draw(chat_streams())
    pieces = data.draw(cut(stream))

    assert told(translated(ASKED).stream(), pieces) == told(translated(ASKED).stream(), [stream])


@unhurried
@given(chat_streams())
def test_the_response_of_a_stream_is_that_of_the_whole_completion(both):
    completion, stream = both
    call = translated(ASKED)

    whole = json.loads(call.whole(json.dumps(completion).encode()))

    assert without_ids(Events.read(told(call.stream(), [stream])).final) == without_ids(whole)


@unhurried
@given(chat_streams())
def test_every_event_is_one_the_sdk_knows_and_adds_up_to_the_same_response(both):
    _, stream = both
    state: ResponseStreamState[Any] = ResponseStreamState(
        input_tools=Omit(),
        text_format=Omit(),
    )
    read = Events.read(told(translated(ASKED).stream(), [stream]))

    for said_event in read.events:
        event = SDK_EVENTS.validate_python(said_event)
        assert type(event).__name__.startswith("Response")
        state.handle_event(event)

    if read.names[-1] == "response.completed":
        built = state._completed_response
        assert built is not None
        assert without_parsed(built.to_dict(mode="json")) == without_parsed(read.final)
    assert snapshot_text(state) == [texts_of(item) for item in read.final["output"]]


def without_parsed(value: Any) -> Any:
    """The SDK's parsed copies aside, and what it leaves out for being null."""
    if isinstance(value, dict):
        return {
            key: without_parsed(inner)
            for key, inner in value.items()
            if inner is not None and key not in ("parsed", "parsed_arguments")
        }
    return [without_parsed(inner) for inner in value] if isinstance(value, list) else value


def snapshot_text(state: Any) -> list[Any]:
    """What the SDK added up from the events alone."""
    done = state._completed_output
    return [texts_of(done[index].to_dict()) for index in sorted(done)]


def texts_of(item: dict[str, Any]) -> Any:
    parts = [part["text"] for part in item.get("content") or ()]
    return (item["id"], parts, item.get("arguments"), item.get("input"))


@unhurried
@given(completions())
def test_an_answer_sent_back_is_the_message_the_model_said(completion):
    message = completion["choices"][0]["message"]
    response = json.loads(translated(ASKED).whole(json.dumps(completion).encode()))

    begun = chat_of({**ASKED, "input": [{"role": "user", "content": "Hi"}, *response["output"],
                                        {"role": "user", "content": "On"}]})["messages"]  # fmt: skip

    assert begun[1:-1] == [
        {"role": "assistant"}
        | {name: message[name] for name in ("reasoning", "content") if message[name]}
        | ({"tool_calls": message["tool_calls"]} if message["tool_calls"] else {})
    ] * bool(response["output"])


@unhurried
@given(chat_streams(), st.data())
def test_a_watch_finds_the_response_wherever_the_stream_is_cut(both, data):
    stream = told(translated(ASKED).stream(), [both[1]])
    watch = Watch()

    for piece in data.draw(cut(stream)):
        watch.feed(piece)

    assert watch.response is not None
    assert json.loads(watch.response) == Events.read(stream).final
