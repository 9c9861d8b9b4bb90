"""Tools of every kind that a server can be told of, and the names of their calls on the way back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidRequest
from gateway.translation.responses import freeform
from tests.gateway.pure.translation.responses_client import (
    DONE,
    call_delta,
    chat_of,
    chunk,
    streamed,
    translated,
    unhurried,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FUNCTION = {
    "type": "function",
    "name": "f",
    "description": "d",
    "parameters": SCHEMA,
    "strict": True,
}
OTHER = {"type": "function", "name": "g", "parameters": None, "strict": None}
PATCH = {
    "type": "custom",
    "name": "apply_patch",
    "description": "Edits files.",
    "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "x"'},
}
NAMESPACE = {"type": "namespace", "name": "ns", "description": "d", "tools": [FUNCTION]}
ANSWER = json.dumps(
    {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]}
).encode()
NAMED = {"type": "function", "function": {"name": "f"}}


def described(*tools: object, **more: object) -> list[dict[str, object]]:
    return [tool["function"] for tool in chat_of({"tools": list(tools), **more})["tools"]]


def test_functions_are_told_as_they_are():
    assert described(FUNCTION, OTHER) == [
        {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
        {"name": "g"},
    ]


def test_a_custom_tool_is_a_function_of_one_text_and_its_grammar_is_told_in_words():
    assert described(PATCH, {"type": "custom", "name": "x", "format": {"type": "text"}}) == [
        {
            "name": "apply_patch",
            "description": 'Edits files.\n\nThe input must follow this grammar (lark):\nstart: "x"',
            "parameters": freeform.PARAMETERS,
        },
        {"name": "x", "parameters": freeform.PARAMETERS},
    ]


def test_a_namespace_s_tools_carry_its_name_before_theirs():
    assert [tool["name"] for tool in described(NAMESPACE, OTHER)] == ["ns__f", "g"]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("none", "none"),
        ("auto", "auto"),
        ("required", "required"),
        ({"type": "function", "name": "f"}, NAMED),
        ({"type": "custom", "name": "apply_patch"},
         {"type": "function", "function": {"name": "apply_patch"}}),
        ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]},
         "required"),
    ],
)  # fmt: skip
def test_a_choice_is_chat_s(choice, sent):
    assert (
        chat_of({"tools": [FUNCTION, OTHER, PATCH], "tool_choice": choice})["tool_choice"] == sent
    )


@pytest.mark.parametrize(
    "named", [{"name": "f"}, {"name": "ns__f"}, {"name": "f", "namespace": "ns"}]
)
def test_a_namespaced_tool_is_chosen_by_any_of_its_names(named):
    asked = {"tools": [NAMESPACE], "tool_choice": {"type": "function", **named}}

    assert chat_of(asked)["tool_choice"] == {"type": "function", "function": {"name": "ns__f"}}


def test_only_the_allowed_tools_are_told_of():
    allowed = {
        "type": "allowed_tools",
        "mode": "auto",
        "tools": [{"type": "function", "name": "g"}],
    }

    assert [tool["name"] for tool in described(FUNCTION, OTHER, tool_choice=allowed)] == ["g"]
    none = chat_of({"tools": [FUNCTION], "tool_choice": {**allowed, "tools": []}})
    assert "tools" not in none
    assert "tool_choice" not in none


HOSTED: list[dict[str, Any]] = [
    {"type": "web_search"},
    {"type": "web_search", "external_web_access": False},
    {"type": "web_search_preview", "search_context_size": "low"},
    {"type": "image_generation"},
    {"type": "tool_search", "execution": "client", "description": "d", "parameters": SCHEMA},
    {"type": "local_shell"},
    {"type": "shell", "environment": {"type": "local"}},
    {"type": "apply_patch"},
    {"type": "mcp", "server_label": "x", "server_url": "https://x"},
    {"type": "code_interpreter", "container": {"type": "auto"}},
    {"type": "file_search", "vector_store_ids": ["vs_1"]},
    {"type": "computer_use_preview"},
    {"type": "programmatic_tool_calling"},
    {"type": "yet_unknown", "name": "f"},
    {**OTHER, "allowed_callers": ["programmatic"]},
    {},
]


def is_missed(hosted: dict[str, Any]) -> bool:
    return hosted.get("external_web_access") is not False


def said_back(call: dict[str, Any]) -> Any:
    """The `tools` of the response."""
    return json.loads(translated(call).whole(ANSWER))["tools"]


@pytest.mark.parametrize("hosted", HOSTED, ids=str)
def test_a_tool_that_nobody_here_runs_is_left_out_beside_others_and_not_said_back(hosted):
    for choice in ({}, {"tool_choice": "auto"}, {"tool_choice": "required"}):
        assert [tool["name"] for tool in described(hosted, FUNCTION, **choice)] == ["f"]
    assert said_back({"tools": [hosted, FUNCTION]}) == [FUNCTION]


def test_a_tool_that_nobody_here_runs_is_no_matter_where_none_may_be_called():
    call = {"tools": [{"type": "mcp"}], "tool_choice": "none"}

    assert "tools" not in chat_of(call)
    assert said_back(call) == []


def test_a_tool_that_nobody_here_runs_is_left_out_of_its_namespace():
    hosted = {"type": "web_search"}
    mixed = {**NAMESPACE, "tools": [hosted, FUNCTION], "colour": "red"}

    assert [tool["name"] for tool in described(mixed)] == ["ns__f"]
    assert said_back({"tools": [mixed]}) == [{**mixed, "tools": [FUNCTION]}]
    assert said_back({"tools": [{**NAMESPACE, "tools": [hosted]}, OTHER]}) == [OTHER]


def test_the_web_search_that_codex_always_offers_may_stand_alone():
    assert "tools" not in chat_of({"tools": [{"type": "web_search", "external_web_access": False}]})


def test_a_tool_s_hints_and_a_second_copy_of_it_change_nothing():
    assert described(
        {**FUNCTION, "async": True, "colour": "red", "allowed_callers": ["direct"]},
        FUNCTION,
        {"type": "custom", "name": "x", "format": {"type": "regex"}},
    ) == [
        {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True},
        {"name": "x", "parameters": freeform.PARAMETERS},
    ]


def test_of_the_allowed_tools_those_that_nobody_here_runs_are_left_out():
    allowed = {
        "type": "allowed_tools",
        "mode": "required",
        "tools": [{"type": "mcp", "server_label": "x"}, {"type": "namespace", "name": "ns"}],
    }
    call = {"tools": [{"type": "mcp"}, NAMESPACE, OTHER], "tool_choice": allowed}

    assert chat_of(call)["tool_choice"] == "required"
    assert [tool["function"]["name"] for tool in chat_of(call)["tools"]] == ["ns__f"]


@pytest.mark.parametrize("kind", ["additional_tools", "tool_search_output"])
def test_the_tools_that_an_item_adds_are_offered_behind_the_call_s_own(kind):
    adding = {"type": kind, "role": "developer", "tools": [
        {**NAMESPACE, "tools": [{**FUNCTION, "defer_loading": True}, {"type": "mcp"}]},
        PATCH, {"type": "function"}, "none", {**OTHER, "description": "stale"},
    ]}  # fmt: skip
    call = {"input": [adding, {"role": "user", "content": "Hi"}], "tools": [OTHER]}

    offered = [tool["function"] for tool in chat_of(call)["tools"]]
    assert [tool["name"] for tool in offered] == ["g", "ns__f", "apply_patch"]
    assert offered[0] == {"name": "g"}
    assert "defer_loading" not in offered[1]
    assert [message["role"] for message in chat_of(call)["messages"]] == ["user"]
    assert said_back(call) == [OTHER]


def test_a_tool_that_an_item_adds_is_called_by_its_own_name():
    adding = {"type": "additional_tools", "role": "developer", "tools": [
        {**NAMESPACE, "tools": [PATCH]}]}  # fmt: skip
    asked = {"input": [adding, {"role": "user", "content": "Hi"}], "tools": [{"type": "mcp"}]}
    piece = chunk(call_delta(0, '{"input":"x"}', "ns__apply_patch"), finish_reason="tool_calls")

    (item,) = streamed(asked, [piece, DONE]).final["output"]

    assert (item["type"], item["namespace"], item["name"], item["input"]) == (
        "custom_tool_call",
        "ns",
        "apply_patch",
        "x",
    )


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": [{"type": "web_search", "external_web_access": True}]}, "tools[0].type"),
        ({"tools": [{"type": "web_search", "external_web_access": False}, {"type": "mcp"}]},
         "tools[1].type"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0].type"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        ({"tools": [FUNCTION, {**FUNCTION, "strict": False}]}, "tools[1].name"),
        ({"tools": [{**PATCH, "format": {"type": "grammar"}}]}, "tools[0].format.definition"),
        ({"tools": [{**NAMESPACE, "tools": [{"type": "web_search"}]}]}, "tools[0].tools[0].type"),
        ({"tools": [FUNCTION], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": 3}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "h"}}, "tool_choice.name"),
        *(({"tools": [hosted]}, "tools[0].type") for hosted in HOSTED if is_missed(hosted)),
        ({"tools": [FUNCTION, {"type": "web_search"}], "tool_choice": {"type": "web_search"}},
         "tool_choice.type"),
        ({"tools": [FUNCTION, {"type": "mcp"}],
          "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}},
         "tool_choice.tools"),
        ({"tools": [{"type": "mcp"}], "tool_choice": "required"}, "tools[0].type"),
        ({"tools": [NAMESPACE, {**NAMESPACE, "name": "n2"}],
          "tool_choice": {"type": "function", "name": "f"}}, "tool_choice.name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "allowed_tools", "mode": "auto",
                                               "tools": [{"name": "h"}]}},
         "tool_choice.tools[0].name"),
    ],
)  # fmt: skip
def test_tools_that_cannot_be_had_are_refused_by_their_place(asked, param):
    with pytest.raises(InvalidRequest) as refused:
        translated(asked)

    assert refused.value.param == param


def test_a_call_comes_back_under_the_name_its_client_gave():
    asked = {"tools": [NAMESPACE, PATCH]}
    pieces = [
        chunk(call_delta(0, '{"a":1}', "ns__f")),
        chunk(call_delta(1, '{"input":"*** Begin', "apply_patch")),
        chunk(call_delta(1, ' Patch\\n"}'), finish_reason="tool_calls"),
        DONE,
    ]

    events = streamed(asked, pieces)

    assert [
        (
            item["type"],
            item["name"],
            item.get("namespace"),
            item.get("arguments", item.get("input")),
        )
        for item in events.final["output"]
    ] == [
        ("function_call", "f", "ns", '{"a":1}'),
        ("custom_tool_call", "apply_patch", None, "*** Begin Patch\n"),
    ]
    assert [event["delta"] for event in events.of("custom_tool_call_input.delta")] == [
        "*** Begin",
        " Patch\n",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('{"input": "a\\u00fc\\ud83d\\ude00\\n\\"b\\""}', 'aü😀\n"b"'),
        ('{"input": "one\ntwo"}', "one\ntwo"),
        ('{"input": "cut off', "cut off"),
        ('{"input": "cut \\u00', "cut "),
        ('{"input": "bad \\x escape"}', "bad "),
        ('{"input": "lone \\ud83d high"}', "lone "),
        ('{"more": 1, "input": "late"}', "late"),
        ('{"input": 3}', '{"input": 3}'),
        ("*** Begin Patch", "*** Begin Patch"),
        (" " * 300 + '{"input": "far"}', "far"),
        ("", ""),
    ],
)
def test_as_much_of_a_custom_tool_s_input_is_read_as_there_is(arguments, said):
    assert freeform.from_arguments(arguments) == said


argument_texts = st.one_of(
    st.text().map(freeform.as_arguments),
    st.text().map(lambda text: json.dumps({"input": text})),
    st.text('{}"\\input: ux0d83e\n', max_size=40),
    st.text('\\"ud83dexyz\n', max_size=40).map(lambda text: '{"input": "' + text),
)


@unhurried
@given(argument_texts, st.data())
def test_an_input_read_in_pieces_is_the_input_read_at_once(arguments, data):
    reader = freeform.InputReader()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(arguments)), max_size=6)))
    pieces = [arguments[i:j] for i, j in zip([0, *cuts], [*cuts, len(arguments)], strict=True)]

    told = "".join(map(reader.feed, pieces)) + reader.end()

    assert told == reader.input == freeform.from_arguments(arguments)


@unhurried
@given(st.text())
def test_an_input_comes_back_from_its_arguments(text):
    assert freeform.from_arguments(freeform.as_arguments(text)) == text
