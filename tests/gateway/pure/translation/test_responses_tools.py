"""Tools of every kind that a server can be told of, and the names of their calls on the way back."""

from __future__ import annotations

import json

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


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview"])
def test_a_web_search_that_may_not_reach_the_web_is_neither_told_of_nor_said_back(kind):
    call = {"tools": [{"type": kind, "external_web_access": False}, FUNCTION]}
    answer = {"choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}]}

    assert [tool["function"]["name"] for tool in chat_of(call)["tools"]] == ["f"]
    assert json.loads(translated(call).whole(json.dumps(answer).encode()))["tools"] == [FUNCTION]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": [{"type": "web_search", "external_web_access": True}]}, "tools[0].type"),
        ({"tools": [{"type": "web_search", "external_web_access": False}, {"type": "mcp"}]},
         "tools[1].type"),
        ({"tools": [FUNCTION, OTHER, {"type": "web_search"}]}, "tools[2].type"),
        ({"tools": [{"type": "mcp", "server_label": "x"}]}, "tools[0].type"),
        ({"tools": [{}]}, "tools[0].type"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools[1].name"),
        ({"tools": [{**FUNCTION, "async": True}]}, "tools[0].async"),
        ({"tools": [{**PATCH, "format": {"type": "regex"}}]}, "tools[0].format.type"),
        ({"tools": [{**PATCH, "format": {"type": "grammar"}}]}, "tools[0].format.definition"),
        ({"tools": [{**NAMESPACE, "tools": [{"type": "web_search"}]}]}, "tools[0].tools[0].type"),
        ({"tools": [{**NAMESPACE, "colour": "red"}]}, "tools[0].colour"),
        ({"tools": [FUNCTION], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": 3}, "tool_choice"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "h"}}, "tool_choice.name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
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
