"""What vLLM answers to a chat call, translated, is what it answers to a Messages call."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway import sse
from gateway.errors import UpstreamBroke
from gateway.translation import messages
from tests import recorded
from tests.gateway.pure.translation.messages_client import (
    events,
    final,
    plain,
    raw,
    stamp,
    to_chat,
    translated,
    types,
)


def without_ids(message: dict[str, Any]) -> dict[str, Any]:
    content = [{**block, "id": ""} if "id" in block else block for block in message["content"]]
    return {**message, "content": content}


PLAIN = [
    ("full_chat_plain", "full_messages_plain"),
    ("gen_chat_plain", "gen_messages_plain"),
    ("full_tools_named", "full_messages_tool_named"),
]
STREAMED = [
    ("full_chat_stream_usage_continuous", "full_messages_stream"),
    ("gen_chat_stream_usage", "gen_messages_stream"),
    ("full_tools_required_stream", "full_messages_tool_any_stream"),
]


@pytest.mark.parametrize(("chat", "native"), PLAIN)
def test_a_translated_answer_is_the_native_one(chat, native):
    answer = json.loads(to_chat({}).whole(recorded.load(chat).body))

    assert without_ids(plain(answer)) == without_ids(plain(recorded.load(native).json))


@pytest.mark.parametrize(("chat", "native"), STREAMED)
def test_a_translated_stream_has_the_native_ones_events_and_message(chat, native):
    ours, theirs = translated(recorded.load(chat).body), recorded.load(native).body

    assert [name for name in types(ours) if name != "ping"] == types(theirs)
    assert without_ids(final(ours)) == without_ids(final(theirs))


@pytest.mark.parametrize(("chat", "native"), STREAMED)
def test_each_event_is_the_native_one_but_for_ids_and_early_usage(chat, native):
    """message_start may say 0 tokens: without continuous usage nobody knows yet."""
    ours, theirs = (
        events(translated(recorded.load(chat).body)),
        events(recorded.load(native).body),
    )
    ours = [event for event in ours if event["type"] != "ping"]
    for event in (*ours, *theirs):
        event.get("content_block", {}).pop("id", None)

    assert ours[1:] == theirs[1:]


def test_a_ping_follows_the_beginning():
    said = types(translated(recorded.load("gen_chat_stream").body))

    assert (said[:2], said.count("ping")) == (["message_start", "ping"], 1)


def test_the_beginning_tells_the_input_where_the_server_does():
    beginning = events(translated(recorded.load("full_chat_stream_usage_continuous").body))[0]

    assert beginning["message"]["usage"] == {"input_tokens": 16, "output_tokens": 0}


@pytest.mark.parametrize("name", ["tools_named_stream", "full_tools_named_stream"])
def test_a_demanded_call_stops_for_its_use(name):
    message = final(translated(recorded.load(name).body))

    assert message["stop_reason"] == "tool_use"
    assert [block["type"] for block in message["content"]] == ["tool_use"]


def test_only_the_first_of_several_choices_is_told():
    stream = recorded.load("full_chat_n2_stream").body
    chunks = [json.loads(event.data) for event in sse.Parser().feed(stream)[:-1]]
    first = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == 0]

    (block,) = final(translated(stream))["content"]

    assert block["text"] == "".join(choice["delta"].get("content", "") for choice in first)


def test_a_stream_with_comments_and_logprobs_passes():
    for name in ("multi_chat_stream_keepalive_forced_usage", "gen_chat_logprobs_stream"):
        assert final(translated(recorded.load(name).body))["content"][0]["text"]


@pytest.mark.parametrize("name", ["shutdown_term", "shutdown_kill"])
def test_a_server_that_goes_down_is_an_error_and_no_end(name):
    stream = to_chat({"stream": True}).stream()

    said = events(stream.feed(recorded.load(name).body) + stream.end())

    assert said[-1]["type"] == "error"
    assert said[-1]["error"]["type"] == "api_error"
    assert "message_stop" not in [event["type"] for event in said]


def test_a_plain_answer_of_a_server_that_goes_down_is_none():
    body = recorded.load("full_chat_plain").body.replace(b'"length"', b'"abort"')

    with pytest.raises(UpstreamBroke):
        to_chat({}).whole(body)


def test_what_tokenize_counts_is_what_the_server_counts_itself():
    native = recorded.load("full_messages_count_tokens")
    translation = messages.to_tokenize(raw(json.loads(native.request_body)), "upstream")
    tokenized = recorded.load("full_tokenize_chat")

    assert json.loads(translation.whole(tokenized.body)) == native.json
    sent, recorded_call = json.loads(translation.body), json.loads(tokenized.request_body)
    assert {**sent, "model": recorded_call["model"]} == recorded_call


ACCEPTED = [
    name
    for name in recorded.names("full_messages_") + recorded.names("tools_messages_")
    if recorded.load(name).status == 200 and "count" not in name
]


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_the_server_takes_natively_can_be_translated(name):
    asked = json.loads(recorded.load(name).request_body)

    sent = json.loads(messages.to_chat(raw(asked), "upstream", stamp()).body)

    assert sent["max_tokens"] == asked["max_tokens"]
    assert len(sent.get("tools", [])) == len(asked.get("tools", []))
