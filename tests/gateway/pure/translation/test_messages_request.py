"""The top level of a Messages call: what each member becomes, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.translation import messages
from tests.gateway.pure.translation.messages_client import (
    LEAST,
    chat,
    final,
    raw,
    run,
    stamp,
    to_chat,
)

TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
FUNCTION: dict[str, Any] = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}
ASKED = [{"role": "user", "content": "Hi"}]
SILENT = {"enable_thinking": False, "thinking": False}


def said(**members):
    """What the chat call says because of these members alone."""
    least = {"model": "upstream", "max_tokens": 100, "messages": ASKED}
    return {name: value for name, value in chat(**members).items() if least.get(name, ...) != value}


def counted(**members):
    """The count of tokens that the same call becomes."""
    return json.loads(messages.to_tokenize(raw({**LEAST, **members}), "upstream").body)


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {}),
        ({"system": "Be brief."}, {"messages": [{"role": "system", "content": "Be brief."}, *ASKED]}),
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 5}, {"temperature": 0.5, "top_p": 0.9, "top_k": 5}),
        ({"stop_sequences": ["a", "b"]}, {"stop": ["a", "b"]}),
        ({"metadata": {"user_id": "u"}}, {"user": "u"}),
        ({"metadata": {}}, {}),
        ({"stream": False}, {"stream": False}),
        (
            {"stream": True},
            {
                "stream": True,
                "stream_options": {"include_usage": True, "continuous_usage_stats": True},
            },
        ),
        ({"service_tier": "auto", "cache_control": {"type": "ephemeral"}}, {}),
        ({"min_p": 0.1, "priority": 3, "unheard_of": [1]}, {"min_p": 0.1, "priority": 3, "unheard_of": [1]}),
        ({"temperature": None, "system": None, "tools": None, "min_p": None}, {"temperature": None, "min_p": None}),
        ({"mcp_servers": [], "container": None, "n": 1}, {}),
        ({"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}, {}),
        ({"tools": []}, {}),
        ({"tools": [TOOL]}, {"tools": [FUNCTION]}),
        ({"tools": [TOOL], "tool_choice": {"type": "auto"}}, {"tools": [FUNCTION], "tool_choice": "auto"}),
        ({"tools": [TOOL], "tool_choice": {"type": "any"}}, {"tools": [FUNCTION], "tool_choice": "required"}),
        ({"tools": [TOOL], "tool_choice": {"type": "none"}}, {"tools": [FUNCTION], "tool_choice": "none"}),
        ({"tool_choice": {"type": "auto"}}, {}),
        (
            {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "look"}},
            {
                "tools": [FUNCTION],
                "tool_choice": {"type": "function", "function": {"name": "look"}},
            },
        ),
        (
            {"tools": [TOOL], "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {"tools": [FUNCTION], "tool_choice": "auto", "parallel_tool_calls": False},
        ),
        ({"thinking": {"type": "disabled"}}, {"chat_template_kwargs": SILENT}),
        ({"thinking": {"type": "adaptive", "display": "summarized"}}, {}),
        (
            {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 2000}},
            {"max_tokens": 9000, "reasoning_effort": "high", "thinking_token_budget": 2000},
        ),
        (
            {"max_tokens": 9000, "thinking": {"type": "enabled", "budget_tokens": 8999}},
            {"max_tokens": 9000, "reasoning_effort": "high"},
        ),
        (
            {"thinking": {"type": "disabled"}, "chat_template_kwargs": {"thinking": 1, "own": "x"}},
            {"chat_template_kwargs": {**SILENT, "thinking": 1, "own": "x"}},
        ),
        *(
            ({"max_tokens": 1025, "thinking": {"type": "enabled", "budget_tokens": 1024}, **said_too},
             {"max_tokens": 1025, "reasoning_effort": "low"})
            for said_too in ({"output_config": {"effort": "low"}}, {"reasoning_effort": "low"})
        ),
        ({"output_config": {"effort": "max"}}, {"reasoning_effort": "max"}),
        *(
            (
                asked,
                {
                    "response_format": {
                        "type": "json_schema",
                        "json_schema": {"name": "json_schema", "schema": {"type": "object"}},
                    }
                },
            )
            for asked in (
                {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
                {"output_format": {"type": "json_schema", "schema": {"type": "object"}}},
            )
        ),
    ],
)  # fmt: skip
def test_a_member_becomes(members, expected):
    assert said(**members) == expected


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": None}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"stop_sequences": "a"}, "stop_sequences"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences[1]"),
        ({"stream": "yes"}, "stream"),
        ({"n": 2}, "n"),
        ({"compaction": {"type": "summarize"}}, "compaction"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format.type"),
        ({"tools": [{"name": "look"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "all"}}, "tool_choice.type"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"output_format": {"type": "text"}}, "output_format.type"),
        ({"chat_template_kwargs": [1]}, "chat_template_kwargs"),
        ({"stop_sequences": ["a"], "stop": ["b"]}, "stop"),
        ({"output_config": {"effort": "low"}, "reasoning_effort": "high"}, "reasoning_effort"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused_by_its_name(members, param):
    with pytest.raises(InvalidRequest) as refused:
        chat(**members)

    assert refused.value.param == param
    assert param in str(refused.value)


@pytest.mark.parametrize(
    "members",
    [
        {"thread": {"type": "create"}},
        {"service_tier": "priority"},
        {"service_tier": 3},
        {"inference_geo": "eu"},
        {"speed": "fast"},
        {"container": {"skills": [{"type": "anthropic", "skill_id": "pdf"}]}},
        {"mcp_servers": [{"type": "url", "url": "https://x.test", "name": "x"}]},
        {"context_management": {"edits": [{"type": "compact_20260112"}, {"type": "unheard_of"}]}},
        {"context_management": "all"},
        {"fallbacks": "default", "fallback_credit_token": "t", "billing_policy": {"bill_to": "self"}},
        {"user_profile_id": "u", "workspace_id": "w", "diagnostics": {"previous_message_id": None}},
        {"betas": ["interleaved-thinking-2025-05-14"], "anthropic_beta": ["b"]},
        {"metadata": {"user_id": 1}},
        {"metadata": "me"},
        {"metadata": {"session": {"deep": [1]}}},
        {"thinking": {"type": "between_tools"}},
        {"thinking": {"type": "unheard_of", "budget_tokens": "many"}},
        {"thinking": {"type": "adaptive", "display": "omitted", "block_binding": {}}},
        {"output_config": {"effort": "huge"}},
        {"output_config": {"effort": 3, "task_budget": {"type": "tokens", "total": 1}, "unheard_of": 1}},
    ],
)  # fmt: skip
def test_a_hint_is_taken_and_changes_nothing(members):
    assert said(**members) == {}
    assert counted(**members) == counted()


@pytest.mark.parametrize(
    ("thinking", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 500}, {"thinking_token_budget": 500}),
        ({"type": "enabled"}, {}),
        ({"type": "enabled", "budget_tokens": -1}, {}),
    ],
)
def test_a_budget_of_any_size_is_taken(thinking, expected):
    asked = said(max_tokens=9000, thinking=thinking)

    assert asked == {"max_tokens": 9000, "reasoning_effort": "high", **expected}


def test_a_user_id_that_is_an_object_goes_along_as_a_text():
    assert json.loads(said(metadata={"user_id": {"session": "1"}})["user"]) == {"session": "1"}


def test_what_aurora_makes_of_a_members_wins_over_what_libraries_add():
    asked = chat(
        stream=True, stream_options={"include_usage": False}, metadata={"user_id": "u"}, user="x"
    )

    assert asked["stream_options"]["include_usage"] is True
    assert asked["user"] == "u"


def test_the_answer_says_what_was_done_of_the_hints():
    asked = {"service_tier": "priority", "speed": "fast", "inference_geo": "eu"}
    chunks = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}],"model":"m"}\n\n'
    answer = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"model":"m"}'
    done = {"service_tier": "standard", "speed": "standard", "inference_geo": "not_available"}

    whole = json.loads(to_chat(asked).whole(answer))
    streamed = final(run(to_chat({**asked, "stream": True}).stream(), chunks))

    assert whole["usage"] == {"input_tokens": 0, "output_tokens": 0, **done}
    assert streamed["usage"] == whole["usage"]


def test_values_that_need_no_change_keep_their_bytes():
    tool = b'{"name":"t","input_schema":{"type" : "object", "x":1.0e0},"description":"\\u00e9"}'
    members = {
        **raw(LEAST),
        "temperature": msgspec.Raw(b"0.10"),
        "system": msgspec.Raw(b'"\\u00e9 \\/"'),
        "tools": msgspec.Raw(b"[" + tool + b"]"),
        "vllm_xargs": msgspec.Raw(b'{ "a" : 1e0 }'),
    }

    body = messages.to_chat(members, "upstream", stamp()).body

    for kept in (b"0.10", b'"\\u00e9 \\/"', b'"object"', b"1.0e0", b'"\\u00e9"', b'{ "a" : 1e0 }'):
        assert kept in body


def test_who_asks_for_edits_is_told_that_none_were_made():
    edits = {
        "edits": [{"type": "clear_tool_uses_20250919", "keep": {"type": "tool_uses", "value": 3}}]
    }
    answer = b'{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}],"model":"m"}'

    told = json.loads(to_chat({"context_management": edits}).whole(answer))
    untold = json.loads(to_chat({}).whole(answer))

    assert told.pop("context_management") == {"applied_edits": []}
    assert told == untold


def test_the_call_is_for_the_chat_route_and_the_upstreams_model():
    translation = to_chat({})

    assert translation.path == "/v1/chat/completions"
    assert json.loads(translation.body)["model"] == "upstream"


def test_a_count_has_the_prompt_of_the_call_and_nothing_else():
    members = {
        "system": "Be brief.", "tools": [TOOL], "tool_choice": {"type": "any"}, "stream": True,
        "temperature": 1, "thinking": {"type": "disabled"}, "output_config": {"effort": "low"},
        "messages": [*ASKED, {"role": "assistant", "content": "Well"}], "add_special_tokens": True,
    }  # fmt: skip
    translation = messages.to_tokenize(raw({"model": "public", **members}), "upstream")
    counted, called = json.loads(translation.body), chat(**members)

    assert translation.path == "/tokenize"
    assert counted.pop("chat_template_kwargs") == {**SILENT, "reasoning_effort": "low"}
    assert counted == {name: called[name] for name in counted}
    assert counted.keys() == {
        "model", "messages", "tools", "continue_final_message", "add_generation_prompt",
        "add_special_tokens",
    }  # fmt: skip
