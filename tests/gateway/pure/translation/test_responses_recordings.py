"""What vLLM answered on both of its routes: a translated answer is the one its own route gives."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.translation import EventStream
from tests import recorded
from tests.gateway.pure.translation.responses_client import (
    Events,
    chat_of,
    streamed,
    told,
    translated,
)

STREAMS = [
    ("full_chat_stream_usage", "full_resp_stream"),
    ("tools_required_stream", "tools_responses_required_stream"),
    ("full_tools_required_stream", "full_resp_tools_required_stream"),
]
WHOLES = [
    ("full_chat_plain", "full_resp_plain"),
    ("full_chat_plain", "full_resp_instructions"),
    ("tools_required_strict", "tools_responses_required"),
    ("tools_named_strict", "tools_responses_named"),
]


def asked(native: str) -> dict[str, Any]:
    call: dict[str, Any] = json.loads(recorded.load(native).request_body)
    return call


def collapsed(names: list[str]) -> list[str]:
    """A run of deltas as one: how an answer is cut into tokens is the server's affair.

    vLLM ends an incomplete response with the event of a completed one.
    """
    kept = [
        name
        for before, name in zip(["", *names], names, strict=False)
        if not (name == before and name.endswith(".delta"))
    ]
    return [name.replace("response.incomplete", "response.completed") for name in kept]


def essence(response: dict[str, Any]) -> Any:
    """What an answer comes to, in the words that both routes have."""
    return (
        response["status"],
        response["incomplete_details"],
        [_said(i) for i in response["output"]],
    )


def _said(item: dict[str, Any]) -> Any:
    if item["type"] == "function_call":
        return item["name"], json.loads(item["arguments"])
    return item["role"], [(part["type"], part["text"]) for part in item["content"]]


@pytest.mark.parametrize(("chat", "native"), STREAMS)
def test_a_translated_stream_tells_what_the_native_one_does_in_the_same_order(chat, native):
    native_events = Events.read(recorded.load(native).body)

    events = streamed(asked(native), recorded.load(chat).reads)

    assert collapsed(events.names) == collapsed(native_events.names)
    if chat != "full_tools_required_stream":  # there the tools differed
        assert essence(events.final) == essence(native_events.final)


@pytest.mark.parametrize(("chat", "native"), STREAMS)
def test_every_member_of_a_native_event_is_in_the_translated_one(chat, native):
    """Those aside that vLLM adds to the Responses API."""
    added = {"phase", "async", "caller", "namespace", "presence_penalty", "frequency_penalty",
             "kv_transfer_params", "ec_transfer_params", "input_messages", "output_messages",
             "prompt"}  # fmt: skip
    ours = {
        event["type"]: event for event in streamed(asked(native), recorded.load(chat).reads).events
    }

    for event in Events.read(recorded.load(native).body).events:
        alike = ours.get(event["type"]) or ours["response.incomplete"]
        assert event.keys() <= alike.keys()
        for name in ("item", "response", "part"):
            assert set(event.get(name, ())) - added <= set(alike.get(name, ()))


@pytest.mark.parametrize(("chat", "native"), WHOLES)
def test_a_translated_answer_is_the_native_one(chat, native):
    response = json.loads(translated(asked(native)).whole(recorded.load(chat).body))

    assert essence(response) == essence(recorded.load(native).json)


@pytest.mark.parametrize(
    ("chat", "native"),
    [
        ("full_chat_plain", "full_resp_plain"),
        ("full_chat_stream_usage", "full_resp_stream"),
        ("full_tools_result_turn", "tools_responses_function_call_output"),
    ],
)
def test_a_translated_call_has_the_messages_of_the_chat_call(chat, native):
    sent, recorded_call = chat_of(asked(native)), asked(chat)

    def shape(message: dict[str, Any]) -> Any:
        return message["role"], "tool_calls" in message, message.get("tool_call_id")

    assert list(map(shape, sent["messages"])) == list(map(shape, recorded_call["messages"]))
    assert sent.get("stream_options") == recorded_call.get("stream_options")


def test_logprobs_are_those_of_the_native_route():
    """The two differ in the last digits: the native route had one more token in its prompt."""
    native = recorded.load("full_resp_logprobs").json["output"][0]["content"][0]["logprobs"]
    call = asked("full_resp_logprobs")

    def tokens(entries: list[dict[str, Any]]) -> list[Any]:
        return [
            (entry["token"], entry["bytes"], [top["token"] for top in entry["top_logprobs"]])
            for entry in entries
        ]

    whole = json.loads(translated(call).whole(recorded.load("full_chat_logprobs").body))
    stream = streamed(call, recorded.load("full_chat_logprobs_stream").reads)
    for response in (whole, stream.final):
        (item,) = response["output"]
        assert tokens(item["content"][0]["logprobs"])[: len(native)] == tokens(native)
    delta = stream.of("output_text.delta")[0]["logprobs"][0]
    told_natively = Events.read(recorded.load("full_resp_stream_logprobs").body)
    assert delta.keys() == told_natively.of("output_text.delta")[0]["logprobs"][0].keys()


def test_a_killed_engine_is_a_failed_response_and_a_leaving_server_too():
    for name in ("shutdown_kill", "shutdown_term"):
        stream: EventStream = translated({"stream": True}).stream()
        events = Events.read(told(stream, recorded.load(name).reads))
        assert events.names[-1] == "response.failed"
        assert events.final["error"]["code"] == "server_error"


def test_forced_usage_in_every_chunk_and_keep_alive_comments_change_nothing():
    name = "multi_chat_stream_keepalive_forced_usage"

    events = streamed({}, recorded.load(name).reads)

    assert events.names[-1] in ("response.incomplete", "response.completed")
    assert events.final["usage"]["output_tokens"] == len(events.of("output_text.delta")) > 0
