"""A coding agent's turns, as Codex CLI sends them: no state here, tools, streams, reasoning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import SELECTOR, TRANSLATED, chat_chunk, show
from tests.mounted import MASTER_KEY, MountedGateway

SHELL: dict[str, Any] = {
    "type": "function",
    "name": "shell",
    "description": "Runs a command.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"command": {"type": "array", "items": {"type": "string"}}},
        "required": ["command"],
        "additionalProperties": False,
    },
}
PATCH: dict[str, Any] = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "patch"'},
}
TOOLS: list[Any] = [SHELL, PATCH]
CONTEXT = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "<environment_context>/src</environment_context>"}],
}
TASK = {
    "type": "message",
    "role": "user",
    "content": [{"type": "input_text", "text": "What is here?"}],
}
ARGUMENTS = '{"command":["ls","-a"]}'


def tool_call(name: str, arguments: str, call_id: str) -> list[bytes]:
    half = len(arguments) // 2
    opening = {"name": name, "arguments": ""}
    deltas: list[dict[str, Any]] = [
        {"index": 0, "id": call_id, "type": "function", "function": opening},
        {"index": 0, "function": {"arguments": arguments[:half]}},
        {"index": 0, "function": {"arguments": arguments[half:]}},
    ]
    return [
        chat_chunk({"role": "assistant", "content": ""}),
        chat_chunk({"reasoning": "I should "}),
        chat_chunk({"reasoning": "look."}),
        *[chat_chunk({"tool_calls": [delta]}) for delta in deltas],
        chat_chunk({}, "tool_calls"),
        b"data: [DONE]\n\n",
    ]


@pytest.fixture
def translating(mount, vllm) -> MountedGateway:
    """Knows `vllm` as `alpha`, which is spoken to in chat completions."""
    return mount(server(vllm, TRANSLATED))


@pytest.fixture
def codex(translating) -> Iterator[openai.OpenAI]:
    url = f"{translating.url}/v1"
    with openai.OpenAI(base_url=url, api_key=MASTER_KEY, max_retries=0) as client:
        yield client


def turn(codex: openai.OpenAI, items: list[Any]) -> tuple[list[Any], Any]:
    """The items that one turn adds, and its last event."""
    with codex.responses.create(
        model=SELECTOR,
        instructions="You are a coding agent.",
        input=items,
        tools=TOOLS,
        tool_choice="auto",
        parallel_tool_calls=False,
        reasoning={"effort": "medium", "summary": "auto"},
        store=False,
        stream=True,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="a-session",
    ) as stream:
        told = list(stream)
    done = [event.item for event in told if event.type == "response.output_item.done"]
    return [json.loads(item.model_dump_json(exclude_none=True)) for item in done], told[-1]


def test_turns_with_tools(translating, codex, vllm):
    history: list[Any] = [CONTEXT, TASK]
    vllm.will_stream(*tool_call("shell", ARGUMENTS, "call_1"))
    added, last = turn(codex, history)
    assert last.type == "response.completed"
    reasoning, call = added
    assert reasoning["encrypted_content"]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "shell", ARGUMENTS)

    history += [*added, {"type": "function_call_output", "call_id": "call_1", "output": "a.py"}]
    vllm.will_stream(*tool_call("apply_patch", json.dumps({"input": "patch"}), "call_2"))
    added, last = turn(codex, history)
    call = added[-1]
    assert (call["type"], call["name"], call["input"]) == (
        "custom_tool_call",
        "apply_patch",
        "patch",
    )

    history += [*added, {"type": "custom_tool_call_output", "call_id": "call_2", "output": "ok"}]
    vllm.will_stream(chat_chunk({"content": "Done."}), chat_chunk({}, "stop"), b"data: [DONE]\n\n")
    added, last = turn(codex, history)
    assert last.response.output_text == "Done."

    roles = [message["role"] for message in vllm.received[-1].json["messages"]]
    assert roles == ["system", "user", "user", "assistant", "tool", "assistant", "tool"]
    first_turn = vllm.received[-1].json["messages"][3]
    assert first_turn["tool_calls"][0]["function"] == {"name": "shell", "arguments": ARGUMENTS}
    assert first_turn["reasoning"] == "I should look."
    assert show(translating, last.response.id).status == 404


def test_what_the_agent_keeps_itself_needs_no_plain_reasoning(codex, vllm):
    """It may send back the sealed reasoning alone."""
    vllm.will_stream(*tool_call("shell", ARGUMENTS, "call_1"))
    (reasoning, call), _ = turn(codex, [TASK])
    bare = {name: value for name, value in reasoning.items() if name != "content"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "a.py"}
    vllm.will_stream(chat_chunk({"content": "Done."}), chat_chunk({}, "stop"), b"data: [DONE]\n\n")

    turn(codex, [TASK, bare, call, output])

    assert vllm.received[-1].json["messages"][2]["reasoning"] == "I should look."
