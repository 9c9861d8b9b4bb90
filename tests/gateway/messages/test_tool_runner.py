"""The official client's tool runner, which asks, runs tools and asks on by itself."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from anthropic import beta_tool
from anthropic.lib.tools import BetaAbstractMemoryTool

from tests.gateway.messages.anthropic import WAYS, chat_only, message, sdk
from tests.mounted import MODEL, provider
from tests.recorded import load
from tests.scripted_vllm import ScriptedVllm

HELLO: Any = [{"role": "user", "content": "Hello, world!"}]
ASKED: dict[str, Any] = {"model": f"alpha/{MODEL}", "max_tokens": 150, "messages": HELLO}
RECORDED = {
    "native": ("tools_messages_tool_any", "full_messages_plain"),
    "translated": ("tools_required", "full_chat_plain"),
}


@beta_tool
def get_weather(unit: str, days: int) -> str:
    """Get the weather."""
    return f"{days} days of 21 {unit}"


@pytest.fixture
def client(gateway, vllm, ways):
    gateway.publish(chat_only(vllm) if ways == "translated" else provider(vllm.url))
    with sdk(gateway) as client:
        yield client


@WAYS
@pytest.mark.parametrize("streamed", [False, True])
def test_a_tool_is_run_twice_and_its_results_are_answered(client, vllm, ways, streamed):
    called, said = RECORDED[ways]
    end = "_stream" if streamed else ""
    last = {"full_chat_plain": "full_chat_stream_usage", "full_messages_plain": "full_messages_stream"}  # fmt: skip
    for recording in (called + end, called + end, last[said] if streamed else said):
        vllm.will_replay(load(recording))

    runner = client.beta.messages.tool_runner(
        tools=[get_weather], system="Be brief.", stream=streamed, **ASKED
    )
    final = runner.until_done()

    assert final.stop_reason == "max_tokens"
    assert len(vllm.received) == 3
    whole = vllm.received[-1].json["messages"]
    assert str(whole).count("5 days of 21 celsius") == 2
    assert str(whole).count("Hello, world!") == 1


@WAYS
def test_a_conversation_that_only_a_server_would_know_is_not_answered(gateway, client, vllm, ways):
    thread = {"type": "continue", "previous_message_id": "msg_1"}

    answer = gateway.call("POST", "/v1/messages", message(thread=thread))

    assert answer.status == 404
    assert answer.json["error"]["type"] == "not_found_error"
    assert answer.json["error"]["details"] == {"error_code": "thread_not_found"}
    assert vllm.received == []


class Memory(BetaAbstractMemoryTool):
    """Has one note."""

    def view(self, command):
        return "Tea is at four."

    def create(self, command):
        raise NotImplementedError

    str_replace = insert = delete = rename = create


def calling(vllm: ScriptedVllm, arguments: str) -> None:
    function = {"name": "memory", "arguments": arguments}
    call = {"id": "call_1", "type": "function", "function": function}
    choice = {"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}
    vllm.will_answer_json(200, {"choices": [choice], "model": MODEL})


@pytest.mark.parametrize("ways", ["translated"])
def test_a_memory_tool_of_the_client_is_run(client, vllm, ways):
    calling(vllm, '{"command":"view","path":"/memories"}')
    vllm.will_replay(load("full_chat_plain"))

    client.beta.messages.tool_runner(tools=[Memory()], **ASKED).until_done()

    first, second = (call.json for call in vllm.received)
    assert first["tools"][0]["function"]["name"] == "memory"
    assert second["messages"][-1]["content"] == "Tea is at four."


@pytest.mark.parametrize("ways", ["translated"])
def test_a_search_on_the_web_beside_a_tool_is_left_out_and_alone_refused(client, vllm, ways):
    vllm.will_replay(load("full_chat_plain"))
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    tool: Any = {"name": "look", "input_schema": {"type": "object"}}

    client.messages.create(tools=[search, tool], **ASKED)
    with pytest.raises(anthropic.BadRequestError, match="web_search"):
        client.messages.create(tools=[search], **ASKED)

    [sent] = vllm.received
    assert [tool["function"]["name"] for tool in sent.json["tools"]] == ["look"]


@pytest.mark.parametrize("ways", ["translated"])
def test_an_application_sends_all_hints_that_the_client_knows(client, vllm, ways):
    vllm.will_replay(load("full_chat_plain"))

    answer = client.beta.messages.create(
        service_tier="auto",
        speed="fast",
        inference_geo="eu",
        container={"skills": [{"type": "anthropic", "skill_id": "pdf"}]},
        context_management={"edits": [{"type": "compact_20260112"}]},
        mcp_servers=[{"type": "url", "url": "https://x.test", "name": "x"}],
        metadata={"user_id": "u"},
        thinking={"type": "enabled", "budget_tokens": 100},
        output_config={"effort": "low", "task_budget": {"type": "tokens", "total": 9000}},
        cache_control={"type": "ephemeral"},
        fallbacks="default",
        betas=["context-management-2025-06-27", "fast-mode-2026-02-01"],
        **ASKED,
    )

    assert answer.context_management is not None
    assert answer.context_management.applied_edits == []
    assert (answer.usage.service_tier, answer.usage.speed) == ("standard", "standard")
