"""A whole completion as a message."""

from __future__ import annotations

import json

import pytest

from gateway.errors import UpstreamBroke
from gateway.translation import messages
from tests.gateway.pure.translation.messages_client import plain, raw, to_chat

USED = {"prompt_tokens": 10, "completion_tokens": 5}


def completion(message=None, finish="stop", stop=None, usage=USED):
    choice = {"index": 0, "message": message or {"content": "a"}, "finish_reason": finish}
    answer = {"model": "m", "choices": [{**choice, "stop_reason": stop}], "usage": usage}
    return json.dumps(answer).encode()


def answered(*args, **kwargs):
    message = json.loads(to_chat({}).whole(completion(*args, **kwargs)))
    plain(message)  # it fits the SDK's types
    return message


def call(arguments="{}", id="1", name="t"):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def use(input, id="1", name="t"):
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def test_an_answer_has_every_member_of_a_message():
    assert answered({"role": "assistant", "content": "Hi"}) == {
        "id": "msg_" + "1".zfill(32),
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }


@pytest.mark.parametrize(
    ("message", "blocks"),
    [
        ({"content": None}, [("text", "")]),
        ({"content": ""}, [("text", "")]),
        ({"content": "a", "reasoning": "h"}, [("thinking", "h"), ("text", "a")]),
        ({"content": "a", "reasoning_content": "h"}, [("thinking", "h"), ("text", "a")]),
        (
            {"content": "a", "reasoning": "h", "reasoning_content": "h"},
            [("thinking", "h"), ("text", "a")],
        ),
        ({"content": "", "reasoning": ""}, [("text", "")]),
    ],
)
def test_what_is_said_and_thought_become_blocks(message, blocks):
    content = answered(message)["content"]

    assert [(block["type"], block[block["type"]]) for block in content] == blocks


def test_thinking_is_signed_since_some_clients_send_back_only_that():
    message = answered({"content": "a", "reasoning": "h"})

    assert message["content"][0]["signature"] == message["id"]


@pytest.mark.parametrize(
    ("arguments", "input"),
    [
        ('{"a": [1, {"b": "é"}]}', {"a": [1, {"b": "é"}]}),
        ("", {}),
        (None, {}),
        ('{"a": 1', {"raw_arguments": '{"a": 1'}),
        ("[1]", {"raw_arguments": "[1]"}),
        ("nonsense", {"raw_arguments": "nonsense"}),
        ('{"a":' * 5000, {"raw_arguments": '{"a":' * 5000}),
    ],
)
def test_a_calls_arguments_become_an_object_whatever_they_are(arguments, input):
    message = answered({"content": None, "tool_calls": [call(arguments)]}, "tool_calls")

    assert message["content"] == [use(input)]


def test_a_call_without_an_id_gets_one():
    nameless = {"function": {"name": "t", "arguments": "{}"}}

    (block,) = answered({"tool_calls": [nameless]})["content"]

    assert block["id"].startswith("toolu_")


def test_an_answer_without_a_model_names_the_one_that_was_called():
    body = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}'

    assert json.loads(to_chat({}).whole(body))["model"] == "upstream"


CALLS = {"content": None, "tool_calls": [call('{"a":1}')]}
CUT = {"content": None, "tool_calls": [call('{"a":1}'), call('{"a":', "2")]}


@pytest.mark.parametrize(
    ("message", "finish", "stop", "expected"),
    [
        (None, "stop", None, ("end_turn", None)),
        (None, "stop", 128001, ("end_turn", None)),
        (None, "stop", "END", ("stop_sequence", "END")),
        (None, "length", None, ("max_tokens", None)),
        (None, "content_filter", None, ("refusal", None)),
        (None, None, None, ("end_turn", None)),
        (None, "repetition", None, ("end_turn", None)),
        (CALLS, "tool_calls", None, ("tool_use", None)),
        (CALLS, "stop", 4, ("tool_use", None)),
        (CALLS, "stop", "END", ("tool_use", None)),
        (CALLS, "length", None, ("max_tokens", None)),
        (CUT, "stop", "END", ("stop_sequence", "END")),
    ],
)
def test_why_it_stopped(message, finish, stop, expected):
    message = answered(message, finish, stop)

    assert (message["stop_reason"], message["stop_sequence"]) == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, {"input_tokens": 0, "output_tokens": 0}),
        ({**USED, "prompt_tokens_details": None}, {"input_tokens": 10, "output_tokens": 5}),
        (
            {**USED, "prompt_tokens_details": {"cached_tokens": 4}},
            {"input_tokens": 6, "output_tokens": 5, "cache_read_input_tokens": 4},
        ),
        (
            {**USED, "prompt_tokens_details": {"cached_tokens": 4, "created_cache_tokens": 2}},
            {
                "input_tokens": 4,
                "output_tokens": 5,
                "cache_creation_input_tokens": 2,
                "cache_read_input_tokens": 4,
            },
        ),
        (
            {**USED, "prompt_tokens_details": {"cached_tokens": 40}},
            {"input_tokens": 0, "output_tokens": 5, "cache_read_input_tokens": 40},
        ),
    ],
)
def test_what_was_cached_is_counted_beside_the_input(usage, expected):
    assert answered(usage=usage)["usage"] == expected


def test_a_text_keeps_its_bytes():
    body = b'{"model":"m","choices":[{"message":{"content":"\\u00e9\\/"},"finish_reason":"stop"}]}'

    assert b'"\\u00e9\\/"' in to_chat({}).whole(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"model":"m","choices":[]}',
        b'{"model":1,"choices":[{"message":{"content":"a"}}]}',
        b'{"model":"m","choices":[{}]}',
        b'{"model":"m","choices":[{"message":{"content":["a"]}}]}',
        b'{"choices":' + b"[" * 100_000,
        completion(finish="abort"),
        completion(finish="error"),
    ],
)
def test_what_is_no_whole_completion_is_the_servers_fault(body):
    with pytest.raises(UpstreamBroke):
        to_chat({}).whole(body)


@pytest.mark.parametrize("body", [b"", b"{}", b'{"count":"3"}', b"[3]"])
def test_what_is_no_count_is_the_servers_fault(body):
    least = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    translation = messages.to_tokenize(raw(least), "m")

    with pytest.raises(UpstreamBroke):
        translation.whole(body)
    with pytest.raises(UpstreamBroke):
        translation.stream()
