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
        ({"include": ["reasoning.encrypted_content", "file_search_call.results"]}, "include[1]"),
        ({"include": "x"}, "include"),
        ({"include": [{}]}, "include[0]"),
        ({"truncation": "middle"}, "truncation"),
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "huge"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "detailed"}}, "reasoning.summary"),
        ({"reasoning": {"generate_summary": "concise"}}, "reasoning.generate_summary"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"reasoning": {"context": "current_turn"}}, "reasoning.context"),
        ({"reasoning": {"new": 1}}, "reasoning.new"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"colour": "red"}}, "text.colour"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a" * 65: ""}}, "metadata"),
        ({"metadata": {"a": "b" * 513}}, "metadata"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"stream_options": {"include_usage": True}}, "stream_options.include_usage"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
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


def test_the_numbers_of_a_refusal_are_those_of_the_client_s_own_input():
    call = members({"input": [{"role": "user", "content": "kept"}, {"type": "computer_call"}]})

    for context_length, param in (
        (0, "input[1].type"),
        (1, "input[0].type"),
        (2, "conversation.type"),
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
