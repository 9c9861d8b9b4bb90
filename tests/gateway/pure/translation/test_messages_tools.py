"""Tools of Messages: the client's own, Anthropic's that the client runs, and its servers'."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.translation import messages
from tests.gateway.pure.translation.messages_client import LEAST, chat, raw

LOOK = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"name": "look", "parameters": {"type": "object", "properties": {}}}
LATER = {**LOOK, "name": "later", "defer_loading": True}
SERVED: list[dict[str, Any]] = [
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 5},
    {"type": "web_fetch_20250910", "name": "web_fetch"},
    {"type": "code_execution_20250825", "name": "code_execution"},
    {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
    {"type": "mcp_toolset", "mcp_server_name": "x"},
    {"type": "unheard_of_20300101", "name": "unheard_of", "any": [{"thing": 1}]},
]
ASKED: list[dict[str, Any]] = [{"role": "user", "content": "Hi"}]
SCREEN = {"display_width_px": 1024, "display_height_px": 768}


def functions(*tools: dict[str, Any], **members: Any) -> list[dict[str, Any]]:
    called = chat(tools=list(tools), **members).get("tools", [])
    counted = messages.to_tokenize(raw({**LEAST, "tools": list(tools), **members}), "m").body
    assert json.loads(counted).get("tools", []) == called
    return [tool["function"] for tool in called]


def names(*tools: dict[str, Any], **members: Any) -> list[str]:
    return [function["name"] for function in functions(*tools, **members)]


def test_a_schema_without_a_type_is_an_objects():
    (function,) = functions({"name": "t", "input_schema": {}})

    assert function["parameters"] == {"type": "object"}


def test_a_tool_keeps_what_chat_knows_of_it():
    extra = {
        "type": "custom",
        "cache_control": {"type": "ephemeral"},
        "eager_input_streaming": True,
        "input_examples": [{"a": 1}],
        "allowed_callers": ["code_execution_20250825"],
        "defer_loading": False,
    }
    (function,) = functions({**LOOK, **extra, "description": "Looks.", "strict": True})

    assert function == {**FUNCTION, "description": "Looks.", "strict": True}


def test_a_tool_of_an_unknown_type_with_a_schema_is_the_clients():
    assert functions({**LOOK, "type": "custom_20300101"}) == [FUNCTION]


def test_a_deferred_tool_is_there_once_a_result_refers_to_it():
    reference = [{"type": "tool_reference", "tool_name": "later"}]
    result = {"type": "tool_result", "tool_use_id": "1", "content": reference}
    turns = [{"role": "user", "content": [result]}]

    assert names(LOOK, LATER) == ["look"]
    assert names(LOOK, LATER, messages=turns) == ["look", "later"]
    assert chat(tools=[LOOK, LATER], messages=turns)["messages"] == [
        {"role": "tool", "content": "Loaded tool: later", "tool_call_id": "1"}
    ]


def test_a_tool_that_anthropics_search_was_to_load_is_there_from_the_beginning():
    assert names(SERVED[3], LOOK, LATER) == ["look", "later"]


def change(kind: str, **tool: Any) -> dict[str, Any]:
    block = {"type": kind, "tool": tool}
    return {"role": "system", "content": [block]}


def test_tools_that_the_conversation_adds_and_removes():
    defined = {**LOOK, "name": "new"}
    turns = [
        *ASKED,
        change("tool_addition", type="tool_reference", name="later"),
        change("tool_addition", type="tool_definition", definition=defined),
        change("tool_removal", type="tool_reference", name="look"),
    ]

    assert names(LOOK, LATER, messages=turns) == ["later", "new"]
    assert chat(tools=[LOOK], messages=turns)["messages"] == ASKED
    back = change("tool_addition", type="tool_reference", name="look")
    assert names(LOOK, LATER, messages=[*turns, back]) == ["look", "later", "new"]


@pytest.mark.parametrize("choice", [None, {"type": "auto"}, {"type": "any"}])
@pytest.mark.parametrize("served", SERVED, ids=lambda tool: tool["type"])
def test_a_servers_tool_beside_the_clients_is_left_out(served, choice):
    members = {"tool_choice": choice} if choice else {}

    assert functions(served, LOOK, **members) == [FUNCTION]


@pytest.mark.parametrize("served", SERVED, ids=lambda tool: tool["type"])
def test_a_servers_tool_alone_is_refused(served):
    with pytest.raises(InvalidRequest, match="needs Anthropic's servers") as refused:
        functions(served)

    assert refused.value.param == "tools[0].type"
    assert functions(served, tool_choice={"type": "none"}) == []


def test_a_servers_tool_that_is_demanded_is_refused():
    with pytest.raises(InvalidRequest, match="web_search") as refused:
        functions(SERVED[0], LOOK, tool_choice={"type": "tool", "name": "web_search"})

    assert refused.value.param == "tool_choice.name"


@pytest.mark.parametrize(
    ("tool", "name", "input"),
    [
        ({"type": "bash_20250124", "name": "bash"}, "bash", {"command": "ls"}),
        ({"type": "bash_20991231", "name": "shell"}, "shell", {"restart": True}),
        (
            {"type": "text_editor_20250124", "name": "str_replace_editor"},
            "str_replace_editor",
            {"command": "undo_edit", "path": "a"},
        ),
        (
            {"type": "text_editor_20250728", "max_characters": 9},
            "str_replace_based_edit_tool",
            {"command": "insert", "path": "a", "insert_line": 0, "insert_text": "b"},
        ),
        (
            {"type": "memory_20250818", "name": "memory"},
            "memory",
            {"command": "rename", "old_path": "/memories/a", "new_path": "/memories/b"},
        ),
        (
            {"type": "computer_20250124", "name": "computer", **SCREEN},
            "computer",
            {
                "action": "scroll",
                "coordinate": [1, 2],
                "scroll_direction": "up",
                "scroll_amount": 3,
            },
        ),
        (
            {"type": "computer_20251124", "name": "computer", "enable_zoom": True, **SCREEN},
            "computer",
            {"action": "zoom", "region": [1, 2, 3, 4]},
        ),
    ],
)
def test_anthropics_tools_that_the_client_runs_are_functions(tool, name, input):
    (function,) = functions(tool, tool_choice={"type": "tool", "name": name})

    assert (function["name"], bool(function["description"])) == (name, True)
    schema = function["parameters"]
    assert set(schema["required"]) <= set(input) <= set(schema["properties"])
    for member, value in input.items():
        assert value in schema["properties"][member].get("enum", [value])


@pytest.mark.parametrize(
    ("type", "member", "value"),
    [
        ("text_editor_20250728", "command", "undo_edit"),
        ("computer_20241022", "action", "scroll"),
        ("computer_20250124", "action", "zoom"),
        ("computer_20251124", "action", "zoom"),
    ],
)
def test_an_older_tool_has_what_its_version_had(type, member, value):
    (function,) = functions({"type": type, "name": "t"})

    assert value not in function["parameters"]["properties"][member]["enum"]


def test_the_model_is_told_how_large_the_screen_is():
    (function,) = functions({"type": "computer_20250124", "name": "computer", **SCREEN})

    assert "1024 x 768" in function["description"]
