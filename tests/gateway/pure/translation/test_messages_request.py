"""The top level of a Messages call: what each member becomes, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from gateway.errors import InvalidRequest
from gateway.translation import messages
from tests.gateway.pure.translation.messages_client import LEAST, chat, raw, stamp, to_chat

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
        ({"metadata": {"user_id": 1}}, "metadata.user_id"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"type": "url"}]}, "mcp_servers"),
        ({"n": 2}, "n"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "context_management.edits[0].type"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "bash_20250124", "name": "bash"}]}, "tools[1].type"),
        ({"tools": [{"name": "look"}]}, "tools[0].input_schema"),
        ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "all"}}, "tool_choice.type"),
        ({"tools": [TOOL], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"task_budget": {"total": 1}}}, "output_config.task_budget"),
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


def test_a_schema_without_a_type_is_an_objects():
    (tool,) = chat(tools=[{"name": "t", "input_schema": {}}])["tools"]

    assert tool["function"]["parameters"] == {"type": "object"}


def test_a_tool_keeps_what_chat_knows_of_it():
    extra = {
        "cache_control": {"type": "ephemeral"},
        "eager_input_streaming": True,
        "type": "custom",
    }
    (tool,) = chat(tools=[{**TOOL, **extra, "description": "Looks.", "strict": True}])["tools"]

    assert tool["function"] == {**FUNCTION["function"], "description": "Looks.", "strict": True}


def test_a_deferred_tool_is_there_once_a_result_refers_to_it():
    deferred = {**TOOL, "name": "later", "defer_loading": True}
    reference = [{"type": "tool_reference", "tool_name": "later"}]
    result = {"type": "tool_result", "tool_use_id": "1", "content": reference}

    before = chat(tools=[TOOL, deferred])
    after = chat(tools=[TOOL, deferred], messages=[{"role": "user", "content": [result]}])

    assert [tool["function"]["name"] for tool in before["tools"]] == ["look"]
    assert [tool["function"]["name"] for tool in after["tools"]] == ["look", "later"]
    assert after["messages"] == [
        {"role": "tool", "content": "Loaded tool: later", "tool_call_id": "1"}
    ]


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
