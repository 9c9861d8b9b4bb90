"""Clients carry along tools, hints and history for other servers: no session ends by them."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    RESPONSES,
    TRANSLATED,
    chat_stream,
    create,
    events_of,
    show,
    wait_for_status,
    will_say,
)
from tests.gateway.responses.test_coding_agents import ARGUMENTS, SHELL, TASK, tool_call
from tests.mounted import MASTER_KEY, MountedGateway, error_of
from tests.recorded import load

SEARCH = {"type": "web_search", "external_web_access": True}
ELSEWHERE: list[dict[str, Any]] = [
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAAB"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed",
     "action": {"type": "search", "query": "rivers"}},
    {"type": "local_shell_call", "id": "lsh_1", "call_id": "call_1", "status": "completed",
     "action": {"type": "exec", "command": ["ls"], "env": {}}},
    {"type": "local_shell_call_output", "id": "call_1", "output": "a.py"},
    {"type": "mcp_list_tools", "id": "mcpl_1", "server_label": "s", "tools": []},
    {"type": "yet_unknown", "id": "x_1", "text": "something", "number": 1},
    {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAAAB"},
]  # fmt: skip
"""Items that a session with another model has left."""


@pytest.fixture
def translating(mount, vllm) -> MountedGateway:
    """Knows `vllm` as `alpha`, which is spoken to in chat completions."""
    return mount(server(vllm, TRANSLATED))


def test_an_agent_without_a_sandbox_offers_a_live_web_search(translating, vllm):
    vllm.will_stream(*tool_call("shell", ARGUMENTS, "call_1"))
    asked = create([TASK], tools=[SHELL, SEARCH], tool_choice="auto", stream=True, store=False)

    events = events_of(translating.post(RESPONSES, asked).body)

    assert [tool["function"]["name"] for tool in vllm.received[-1].json["tools"]] == ["shell"]
    for event in (events[0], events[-1]):
        assert event["response"]["tools"] == [SHELL]
    assert events[-1]["response"]["output"][-1]["name"] == "shell"


def test_an_agent_sends_all_its_tools_as_an_item(translating, vllm):
    vllm.will_stream(*tool_call("functions__shell", ARGUMENTS, "call_1"))
    tools = [{"type": "namespace", "name": "functions", "description": "", "tools": [SHELL]}]
    adding = {"type": "additional_tools", "role": "developer", "tools": tools}
    asked = create([adding, TASK], tool_choice="auto", stream=True, store=False)

    events = events_of(translating.post(RESPONSES, asked).body)

    (sent,) = vllm.received[-1].json["tools"]
    assert sent["function"]["name"] == "functions__shell"
    call = events[-1]["response"]["output"][-1]
    assert (call["name"], call["namespace"]) == ("shell", "functions")


def test_a_caller_who_wants_a_web_search_and_nothing_else_is_told_that_there_is_none(translating):
    for asked, param in (
        ({"tools": [SEARCH]}, "tools[0].type"),
        ({"tools": [SHELL, SEARCH], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
    ):
        answer = translating.post(RESPONSES, create(**asked))

        assert (answer.status, error_of(answer)["param"]) == (400, param)


def test_a_sub_agent_is_given_its_task(translating, vllm):
    vllm.will_stream(*chat_stream("Done."))
    content = [
        {"type": "input_text", "text": "Sender: /root"},
        {"type": "encrypted_content", "encrypted_content": "Count the files."},
    ]
    item = {"type": "agent_message", "author": "/root", "recipient": "/root/a", "content": content}

    answer = translating.post(RESPONSES, create([item], stream=True, store=False))

    assert events_of(answer.body)[-1]["type"] == "response.completed"
    assert vllm.received[-1].json["messages"] == [
        {"role": "user", "content": "Sender: /root\nCount the files."}
    ]


def test_a_session_begun_with_another_model_goes_on_here(translating, vllm):
    """With its state kept here: the history comes back as it was sent, however it is gone on from."""
    sent = [TASK, *ELSEWHERE]
    will_say(vllm, TRANSLATED, "Fine.")
    first = translating.post(RESPONSES, create(sent)).json["id"]
    will_say(vllm, TRANSLATED, "Still fine.")

    answer = translating.post(RESPONSES, create("And?", previous_response_id=first))

    assert answer.status == 200
    said = json.dumps(vllm.received[-1].json["messages"])
    assert all(word in said for word in ("rivers", "a.py", "something", "And?"))
    listed = translating.call("GET", f"{RESPONSES}/{first}/input_items?order=asc").json["data"]
    for item, given in zip(listed, sent, strict=True):
        assert item == {**item, **given}
    assert {key for item in listed[1:] for key in item} == {
        key for item in ELSEWHERE for key in item
    }


def test_a_conversation_holds_what_another_model_has_left(translating, vllm):
    made = translating.post("/v1/conversations", {"items": [TASK, *ELSEWHERE]}).json["id"]
    vllm.will_replay(load("full_tokenize_chat"))
    counted = translating.post(f"{RESPONSES}/input_tokens", create("And?", conversation=made))
    will_say(vllm, TRANSLATED, "Fine.")

    answer = translating.post(RESPONSES, create("And?", conversation=made))

    assert (counted.status, answer.status) == (200, 200)
    first, second = vllm.received
    assert first.json["messages"] == second.json["messages"]


def test_a_background_response_says_from_the_first_which_tools_are_left_out(translating, vllm):
    vllm.will_stream(*chat_stream("Done."))
    asked = create([TASK, *ELSEWHERE], tools=[SHELL, SEARCH], background=True)

    queued = translating.post(RESPONSES, asked).json

    done = wait_for_status(translating, queued["id"], "completed")
    assert queued["tools"] == done["tools"] == [SHELL]
    assert show(translating, queued["id"]).status == 200


def test_an_unmodified_client_sets_all_the_hints_there_are(translating, vllm):
    will_say(vllm, TRANSLATED, "Hello")
    with openai.OpenAI(
        base_url=f"{translating.url}/v1", api_key=MASTER_KEY, max_retries=0
    ) as client:
        response = client.responses.create(
            model=create()["model"],
            input="Hi",
            reasoning={"effort": "xhigh", "summary": "detailed", "context": "all_turns"},
            text={"verbosity": "low"},
            service_tier="priority",
            include=["web_search_call.action.sources"],
            context_management=[{"type": "compaction", "compact_threshold": 1000}],
            extra_body={"thread": {"id": "t_1"}},
        )

    assert response.output_text == "Hello"
    assert response.service_tier == "default"
    assert response.reasoning is not None
    assert (response.reasoning.effort, response.reasoning.summary) == ("xhigh", None)
    assert vllm.received[-1].json.keys() == {"model", "messages", "reasoning_effort"}
