"""Each member of a create call reaches the server in chat's words, or is refused by its name."""

from __future__ import annotations

import json

import pytest

from gateway.errors import InvalidRequest
from gateway.translation import CHAT
from gateway.translation.responses import Echo, to_chat, to_tokenize
from tests.gateway.pure.translation.responses_client import (
    MODEL,
    chat_of,
    members,
    stamp,
    translated,
)

USER = {"role": "user", "content": "Hi"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FUNCTION = {"type": "function", "name": "f", "parameters": SCHEMA}
ANSWER = json.dumps(
    {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]}
).encode()


def test_a_string_is_one_user_message_and_the_server_s_name_of_the_model_is_sent():
    call = translated({"model": "public/name"})

    assert call.path == CHAT
    assert json.loads(call.body) == {"model": MODEL, "messages": [USER]}


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ({"max_output_tokens": 7}, {"max_completion_tokens": 7}),
        ({"temperature": 0.5, "top_p": 0.1}, {"temperature": 0.5, "top_p": 0.1}),
        ({"top_logprobs": 3}, {"logprobs": True, "top_logprobs": 3}),
        ({"top_logprobs": 0}, {}),
        ({"include": ["message.output_text.logprobs"]}, {"logprobs": True}),
        (
            {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
            {"logprobs": True, "top_logprobs": 2},
        ),
        ({"include": ["reasoning.encrypted_content"]}, {}),
        ({"parallel_tool_calls": False}, {"parallel_tool_calls": False}),
        ({"truncation": "auto"}, {"truncate_prompt_tokens": -1}),
        ({"truncation": "disabled"}, {}),
        ({"reasoning": {"effort": "high", "summary": "auto"}}, {"reasoning_effort": "high"}),
        ({"reasoning": {"effort": None, "summary": None}}, {}),
        ({"text": {"verbosity": "medium", "format": {"type": "text"}}}, {}),
        (
            {"text": {"format": {"type": "json_object"}}},
            {"response_format": {"type": "json_object"}},
        ),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA,
                                 "strict": True, "description": None}}},
            {"response_format": {"type": "json_schema", "json_schema":
                                 {"name": "n", "schema": SCHEMA, "strict": True}}},
        ),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"stream": False}, {}),
        ({"stream": True, "stream_options": {"include_obfuscation": False}},
         {"stream": True, "stream_options": {"include_usage": True}}),
        ({"service_tier": "auto", "max_tool_calls": 3, "metadata": {"a": "b"}}, {}),
        ({"user": "u"}, {"user": "u"}),
        ({"safety_identifier": "s", "prompt_cache_key": "k", "store": False}, {}),
        ({"top_k": 3, "min_p": 0.1, "seed": 1}, {"top_k": 3, "min_p": 0.1, "seed": 1}),
        ({"chat_template_kwargs": {"x": 1}}, {"chat_template_kwargs": {"x": 1}}),
        ({"structured_outputs": {"choice": ["a"]}}, {"structured_outputs": {"choice": ["a"]}}),
        ({"prompt": None, "conversation": None, "n": None, "tools": []}, {}),
        ({"tool_choice": "auto"}, {}),
        ({"text": {"format": {"type": "json_object"}, "verbosity": "low", "colour": "red"}},
         {"response_format": {"type": "json_object"}}),
        ({"reasoning": {"effort": "low", "summary": "detailed", "mode": "pro", "context":
                        "all_turns", "generate_summary": "concise", "new": 1}},
         {"reasoning_effort": "low"}),
        ({"include": ["file_search_call.results", "new", {}, "message.output_text.logprobs"]},
         {"logprobs": True}),
    ],
)  # fmt: skip
def test_what_maps_is_mapped_and_what_is_unknown_passes(asked, sent):
    assert chat_of(asked) == {"model": MODEL, "messages": [USER], **sent}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": True}, "max_output_tokens"),
        ({"max_output_tokens": "9"}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": -1}, "top_logprobs"),
        ({"include": "x"}, "include"),
        ({"truncation": "middle"}, "truncation"),
        ({"reasoning": "high"}, "reasoning"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a" * 65: ""}}, "metadata"),
        ({"metadata": {"a": "b" * 513}}, "metadata"),
        ({"stream": "yes"}, "stream"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"moderation": {"model": "m"}}, "moderation"),
        ({"messages": []}, "messages"),
        ({"n": 2}, "n"),
        ({"max_tokens": 3}, "max_tokens"),
        ({"response_format": {"type": "text"}}, "response_format"),
        ({"instructions": ["x"]}, "instructions"),
        ({"max_tool_calls": -1}, "max_tool_calls"),
        ({"input": None}, "input"),
        ({"input": {}}, "input"),
        ({"input": []}, "input"),
        ({"tools": "all"}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_its_name(asked, param):
    with pytest.raises(InvalidRequest) as refused:
        translated(asked)

    assert refused.value.param == param


@pytest.mark.parametrize(
    "hint",
    [
        {"thread": {"id": "t"}},
        {"context_management": [{"type": "compaction", "compact_threshold": 1}]},
        {"background_options": {"completion_window": "2h"}},
        *({"service_tier": tier} for tier in ("priority", "flex", "fast", "scale", "new", 3)),
        *({"reasoning": {"summary": said}} for said in ("detailed", "concise", "none", "auto")),
        *({"reasoning": {"effort": effort}} for effort in ("ultra", 3)),
        *({"text": {"verbosity": said}} for said in ("low", "high", "new")),
        *({"include": [name]} for name in ("web_search_call.action.sources", "new")),
        {"stream_options": {"include_obfuscation": True, "include_usage": True}},
    ],
    ids=str,
)
def test_a_hint_is_taken_not_sent_and_the_response_says_what_was_done(hint):
    call = translated(hint)

    assert json.loads(call.body) == {"model": MODEL, "messages": [USER]}
    said = json.loads(call.whole(ANSWER))
    assert said["service_tier"] == "default"
    assert said["reasoning"] == {"effort": None, "summary": None}
    assert said["text"] == {"format": {"type": "text"}, "verbosity": "medium"}


def test_the_effort_and_the_format_that_are_sent_are_said_back():
    said = translated(
        {"reasoning": {"effort": "high"}, "text": {"format": {"type": "json_object"}}}
    ).whole(ANSWER)

    assert json.loads(said)["reasoning"]["effort"] == "high"
    assert json.loads(said)["text"]["format"] == {"type": "json_object"}


def test_the_numbers_of_a_refusal_are_those_of_the_client_s_own_input():
    call = members({"input": [{"role": "user", "content": "kept"}, {"role": 3}]})

    for context_length, param in (
        (0, "input[1].role"),
        (1, "input[0].role"),
        (2, "conversation.role"),
    ):
        with pytest.raises(InvalidRequest) as refused:
            to_chat(
                call, MODEL, stamp(), Echo(conversation="conv_1"), context_length=context_length
            )
        assert refused.value.param == param


def test_a_count_of_tokens_sees_the_prompt_that_the_answer_would_be_made_from():
    call = members(
        {
            "model": "public/name",
            "input": "Hi",
            "instructions": "Be brief.",
            "tools": [FUNCTION],
            "reasoning": {"effort": "low"},
            "chat_template_kwargs": {"x": 1},
            "max_output_tokens": 5,
        }
    )

    count = to_tokenize(call, MODEL)

    assert count.path == "/tokenize"
    assert json.loads(count.body) == {
        "model": MODEL,
        "messages": [{"role": "system", "content": "Be brief."}, USER],
        "chat_template_kwargs": {"enable_thinking": True, "x": 1, "reasoning_effort": "low"},
        "tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}],
    }
    assert json.loads(count.whole(b'{"count":17,"max_model_len":512,"tokens":[1]}')) == {
        "object": "response.input_tokens",
        "input_tokens": 17,
    }
