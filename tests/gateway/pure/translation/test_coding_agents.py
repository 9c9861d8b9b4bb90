"""Whole calls, member for member of the kinds that coding agents send. The texts are invented."""

from __future__ import annotations

import json
from typing import Any

from gateway.translation import messages
from tests.gateway.pure.translation.messages_client import chat, final, raw, translated
from tests.gateway.pure.translation.responses_client import (
    DONE,
    MODEL,
    call_delta,
    chat_of,
    chunk,
    streamed,
)

CACHED = {"cache_control": {"type": "ephemeral"}}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"path": {"type": "string"}},
    "required": ["path"],
    "additionalProperties": False,
}
NAMES = [f"Tool{number}" for number in range(24)]


def text(said: str, **others: Any) -> dict[str, Any]:
    return {"type": "text", "text": said, **others}


# As Claude Code does.

BEGINNING = {"role": "user", "content": [text("A reminder."), text("Look around.", **CACHED)]}
AMID = {"role": "system", "content": "\nThese agents are there."}
USE = {"type": "tool_use", "id": "toolu_1", "name": "Tool3", "input": {"path": "."}}
THOUGHT = {"type": "thinking", "thinking": "I should look.", "signature": "signed"}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.py", "is_error": False}
MESSAGE: dict[str, Any] = {
    "model": "vllm/any",
    "messages": [
        BEGINNING,
        AMID,
        {"role": "assistant", "content": [THOUGHT, USE]},
        {"role": "user", "content": [{**RESULT, **CACHED}]},
    ],
    "system": [
        text("x-anthropic-billing-header: version=1;"),
        text("You are an agent.", **CACHED),
        text("\nYou help.", **CACHED),
    ],
    "tools": [{"name": name, "description": "Does it.", "input_schema": SCHEMA} for name in NAMES],
    "metadata": {"user_id": '{"session":"1"}'},
    "max_tokens": 32000,
    "thinking": {"type": "adaptive"},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
    "output_config": {"effort": "high"},
    "stream": True,
}
FUNCTIONS = [
    {
        "type": "function",
        "function": {"name": name, "description": "Does it.", "parameters": SCHEMA},
    }
    for name in NAMES
]


def test_a_whole_call_of_messages_becomes_a_chat_call():
    sent = chat(**MESSAGE)

    call = sent["messages"][3]["tool_calls"][0]["function"]
    call["arguments"] = json.loads(call["arguments"])
    assert sent == {
        "model": "upstream",
        "messages": [
            {"role": "system", "content": "You are an agent.\nYou help."},
            {"role": "user", "content": [text("A reminder."), text("Look around.")]},
            {"role": "user", "content": "\nThese agents are there."},
            {
                "role": "assistant",
                "reasoning": "I should look.",
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "Tool3", "arguments": {"path": "."}},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "toolu_1", "content": "a.py"},
        ],
        "tools": FUNCTIONS,
        "max_tokens": 32000,
        "user": '{"session":"1"}',
        "reasoning_effort": "high",
        "stream": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }


def test_its_tokens_are_those_of_the_same_prompt():
    counted = {name: MESSAGE[name] for name in ("model", "messages", "system", "tools", "thinking")}

    sent = json.loads(messages.to_tokenize(raw(counted), "upstream").body)

    called = chat(**MESSAGE)
    assert sent == {name: called[name] for name in ("model", "messages", "tools")}


def test_its_next_turn_holds_what_was_thought_and_called():
    deltas = [
        {"reasoning": "Now the file."},
        call_delta(0, '{"path":', "Tool3"),
        call_delta(0, '"a"}'),
    ]

    answer = final(translated(b"".join(
        [*map(chunk, deltas), chunk({}, finish_reason="tool_calls"), DONE]
    )))  # fmt: skip
    turns = [BEGINNING, {"role": "assistant", "content": answer["content"]}]
    back = chat(**{**MESSAGE, "messages": turns})["messages"][-1]

    assert answer["stop_reason"] == "tool_use"
    assert back["reasoning"] == "Now the file."
    assert [call["function"]["name"] for call in back["tool_calls"]] == ["Tool3"]


# As Codex CLI does.


def said(role: str, number: int, *texts: str) -> dict[str, Any]:
    parts = [{"type": "input_text", "text": each} for each in texts]
    return {"type": "message", "id": f"msg_{number}", "role": role, "content": parts}


def function(name: str) -> dict[str, Any]:
    described = {"description": "Does it.", "strict": False, "parameters": SCHEMA}
    return {"type": "function", "name": name, **described}


RESPONSE: dict[str, Any] = {
    "model": "vllm/any",
    "instructions": "You are an agent.",
    "input": [
        said("developer", 1, "Ask before you write."),
        said("developer", 2, "Be brief.", "Be kind."),
        said("user", 3, "<where>/src</where>"),
        said("user", 4, "Look around."),
    ],
    "tools": [
        function("run"),
        {"type": "namespace", "name": "agents", "description": "Others.", "tools": [function("ask")]},
        {"type": "web_search", "external_web_access": False},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"summary": "auto"},
    "store": False,
    "stream": True,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "a-session",
    "client_metadata": {"turn": "1"},
}  # fmt: skip


def described(name: str) -> dict[str, Any]:
    function = {"name": name, "description": "Does it.", "parameters": SCHEMA, "strict": False}
    return {"type": "function", "function": function}


def test_a_whole_call_of_responses_becomes_a_chat_call():
    assert chat_of(RESPONSE) == {
        "model": MODEL,
        "messages": [
            {
                "role": "system",
                "content": "You are an agent.\n\nAsk before you write.\n\nBe brief.\nBe kind.",
            },
            {"role": "user", "content": [text("<where>/src</where>")]},
            {"role": "user", "content": [text("Look around.")]},
        ],
        "tools": [described("run"), described("agents__ask")],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_the_items_of_an_answer_are_the_next_call_s_input():
    deltas = [{"reasoning": "I should ask."}, call_delta(0, '{"path":"."}', "agents__ask")]
    answer = streamed(
        RESPONSE, [*map(chunk, deltas), chunk({}, finish_reason="tool_calls"), DONE]
    ).final

    reasoning, call = answer["output"]
    assert (call["name"], call["namespace"]) == ("ask", "agents")
    kept = {name: value for name, value in reasoning.items() if name != "content"}
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "a.py"}
    sent = chat_of({**RESPONSE, "input": [*RESPONSE["input"], kept, call, result]})

    turn, last = sent["messages"][-2:]
    assert turn["reasoning"] == "I should ask."
    assert turn["tool_calls"][0]["function"]["name"] == "agents__ask"
    assert last == {"role": "tool", "tool_call_id": call["call_id"], "content": "a.py"}
