"""Input items become the chat messages that say the same."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.translation.responses import sealing
from tests.gateway.pure.translation.responses_client import chat_of, translated

USER = {"type": "message", "role": "user", "content": "Hi"}
OUTPUT = {"type": "function_call_output", "call_id": "c1", "output": "sunny"}


def call(call_id: str, name: str = "f") -> dict[str, str]:
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": "{}"}


def chat_call(call_id: str, name: str = "f", arguments: str = "{}") -> dict[str, object]:
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def messages(*items: object, **more: object) -> Any:
    return chat_of({"input": list(items), **more})["messages"]


def text(said: str, kind: str = "output_text") -> dict[str, str]:
    return {"type": kind, "refusal" if kind == "refusal" else "text": said}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Hi", "Hi"),
        ([text("a", "input_text"), text("b", "text")],
         [text("a", "text"), text("b", "text")]),
        ([{"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"}],
         [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA", "detail": "low"}}]),
        ([{"type": "input_image", "image_url": "https://x/y", "detail": "original"}],
         [{"type": "image_url", "image_url": {"url": "https://x/y"}}]),
        ([{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}],
         [{"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}]),
    ],
)  # fmt: skip
def test_a_user_s_parts_are_chat_s_in_a_message_and_in_a_tool_s_output(content, said):
    assert messages({"role": "user", "content": content}) == [{"role": "user", "content": said}]


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("a", "a"),
        ("", ""),
        (None, ""),
        ([], ""),
        ([text("a", "input_text"), text("b", "input_text")], "a\nb"),
        ({"content": "a", "success": False}, '{"content":"a","success":false}'),
        (3, "3"),
    ],
)
def test_a_tool_s_output_is_one_text(output, said):
    assert messages(call("c1"), {**OUTPUT, "output": output})[1:] == [
        {"role": "tool", "tool_call_id": "c1", "content": said}
    ]


def image(url: str) -> dict[str, object]:
    return {"type": "input_image", "image_url": url}


def chat_image(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


def test_the_image_that_a_tool_gave_stands_in_a_user_s_message_behind_it():
    shown = {**OUTPUT, "output": [text("a", "input_text"), image("x")]}

    assert messages(call("c1"), shown, text_message("Seen."))[1:] == [
        {"role": "tool", "tool_call_id": "c1", "content": "a"},
        {"role": "user", "content": [chat_image("x")]},
        {"role": "assistant", "content": "Seen."},
    ]


def test_the_images_of_parallel_tools_stand_behind_all_their_results():
    outputs = [{**OUTPUT, "call_id": id, "output": [image(id)]} for id in ("c1", "c2")]

    assert messages(call("c1"), call("c2"), *outputs)[1:] == [
        {"role": "tool", "tool_call_id": "c1", "content": ""},
        {"role": "tool", "tool_call_id": "c2", "content": ""},
        {
            "role": "user",
            "content": [
                text("From the result of c1:", "text"),
                chat_image("c1"),
                text("From the result of c2:", "text"),
                chat_image("c2"),
            ],
        },
    ]


@pytest.mark.parametrize("role", ["developer", "user"])
def test_nothing_stands_between_calls_and_their_results(role):
    amid = {"role": role, "content": "Mind the time."}

    assert messages(call("c1"), call("c2"), OUTPUT, amid, {**OUTPUT, "call_id": "c2"}) == [
        {"role": "assistant", "tool_calls": [chat_call("c1"), chat_call("c2")]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": "sunny"},
        {"role": "user", "content": "Mind the time."},
    ]


def test_a_call_that_was_never_answered_holds_nothing_back():
    assert messages(call("c1"), USER, text_message("a")) == [
        {"role": "assistant", "tool_calls": [chat_call("c1")]},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "a"},
    ]


def test_instructions_and_the_system_messages_after_them_lead_as_one():
    assert messages(
        {"role": "developer", "content": [text("b", "input_text"), text("c", "input_text")]},
        {"role": "system", "content": "d"},
        USER,
        {"role": "developer", "content": "e"},
        instructions="a",
    ) == [
        {"role": "system", "content": "a\n\nb\nc\n\nd"},
        {"role": "user", "content": "Hi"},
        {"role": "user", "content": "e"},
    ]


def test_a_later_system_message_leaves_the_prompt_before_it_as_it_was():
    turns = [{"role": "developer", "content": "a"}, USER, call("c1"), OUTPUT]

    for later in ("system", "developer"):
        grown = messages(*turns, {"role": later, "content": [text("b", "input_text")]})
        assert grown[:-1] == messages(*turns)
        assert grown[-1] == {"role": "user", "content": [text("b", "text")]}


def test_an_image_is_no_part_of_the_system_prompt():
    assert messages({"role": "developer", "content": [image("x")]}, instructions="a") == [
        {"role": "system", "content": "a"},
        {"role": "user", "content": [chat_image("x")]},
    ]


def test_what_the_assistant_did_in_one_turn_is_one_message():
    assert messages(
        USER,
        {"type": "reasoning", "summary": [], "content": [text("hm", "reasoning_text")]},
        {"role": "assistant", "content": [text("a"), text("b"), text("no", "refusal")]},
        call("c1"),
        call("c2", "g"),
        OUTPUT,
        {**OUTPUT, "call_id": "c2"},
        {"role": "assistant", "content": "done"},
    ) == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "reasoning": "hm",
            "content": "abno",
            "tool_calls": [chat_call("c1"), chat_call("c2", "g")],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "tool", "tool_call_id": "c2", "content": "sunny"},
        {"role": "assistant", "content": "done"},
    ]


def test_new_reasoning_and_a_second_message_begin_another_turn():
    thought = {"type": "reasoning", "summary": [], "content": [text("hm", "reasoning_text")]}

    assert messages(
        USER, call("c1"), thought, call("c2"), text_message("x"), text_message("y")
    ) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "tool_calls": [chat_call("c1")]},
        {"role": "assistant", "reasoning": "hm", "tool_calls": [chat_call("c2")], "content": "x"},
        {"role": "assistant", "content": "y"},
    ]


def text_message(said: str) -> dict[str, object]:
    return {"type": "message", "role": "assistant", "content": [text(said)]}


@pytest.mark.parametrize(
    ("reasoning", "said"),
    [
        ({"content": [text("a", "reasoning_text"), text("b", "reasoning_text")]}, "a\nb"),
        ({"summary": [text("a", "summary_text")]}, "a"),
        ({"encrypted_content": sealing.sealed("ü"), "summary": []}, "ü"),
        ({"encrypted_content": sealing.sealed("whole"), "summary": [text("part", "x")]}, "whole"),
        ({"encrypted_content": "gAAAA", "summary": [text("a", "summary_text")]}, "a"),
        ({"content": "a", "summary": []}, "a"),
    ],
)
def test_reasoning_comes_back_from_its_text_from_what_was_sealed_or_from_its_summary(
    reasoning, said
):
    assert messages(USER, {"type": "reasoning", **reasoning})[1:] == [
        {"role": "assistant", "reasoning": said}
    ]


@pytest.mark.parametrize("sealed", [{}, {"encrypted_content": "gAAAA"}, {"encrypted_content": 3}])
def test_reasoning_that_says_nothing_here_is_no_message(sealed):
    assert messages(USER, {"type": "reasoning", "id": "rs_1", "summary": [], **sealed}) == [
        {"role": "user", "content": "Hi"}
    ]


def test_a_custom_tool_s_call_and_output_are_a_function_s():
    assert messages(
        {"type": "custom_tool_call", "call_id": "c1", "name": "p", "input": 'a "b"\n'},
        {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"},
        {**call("c2", "f"), "namespace": "ns"},
    ) == [
        {"role": "assistant", "tool_calls": [chat_call("c1", "p", '{"input":"a \\"b\\"\\n"}')]},
        {"role": "tool", "tool_call_id": "c1", "content": "ok"},
        {"role": "assistant", "tool_calls": [chat_call("c2", "ns__f")]},
    ]


def test_an_unfinished_last_message_of_the_assistant_is_gone_on_with():
    begun = {**text_message("Once"), "status": "incomplete"}

    asked = chat_of({"input": [USER, begun]})
    assert (asked["continue_final_message"], asked["add_generation_prompt"]) == (True, False)
    assert "continue_final_message" not in chat_of({"input": [begun, USER]})
    assert "continue_final_message" not in chat_of({"input": [USER, text_message("Once")]})


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ("x", "input[1]"),
        ({"type": 3}, "input[1].type"),
        ({}, "input[1].type"),
        ({"role": 3, "content": ""}, "input[1].role"),
        ({"role": "user"}, "input[1].content"),
        ({"role": "user", "content": [3]}, "input[1].content[0]"),
        ({"role": "user", "content": [{"type": "input_text"}]}, "input[1].content[0].text"),
        ({"role": "user", "content": [{"type": "input_image", "image_url": {}}]},
         "input[1].content[0].image_url"),
        ({"type": "function_call", "call_id": "c", "name": "f"}, "input[1].arguments"),
        ({"type": "function_call", "name": "f", "arguments": ""}, "input[1].call_id"),
        ({"type": "custom_tool_call", "call_id": "c", "name": "f"}, "input[1].input"),
        ({"type": "function_call_output", "output": ""}, "input[1].call_id"),
        ({"type": "item_reference", "id": "msg_1"}, "input[1].id"),
        ({"id": "msg_1"}, "input[1].id"),
    ],
)  # fmt: skip
def test_an_item_that_cannot_be_sent_is_refused_by_its_place(item, param):
    with pytest.raises(InvalidRequest) as refused:
        translated({"input": [USER, item]})

    assert refused.value.param == param
