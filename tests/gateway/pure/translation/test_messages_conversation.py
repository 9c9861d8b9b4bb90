"""Turns and content blocks as chat messages."""

from __future__ import annotations

import json

import pytest

from gateway.errors import InvalidRequest
from tests.gateway.pure.translation.messages_client import chat

CACHED = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
PNG = {"type": "base64", "media_type": "image/png", "data": "aGk="}
IMAGE = {"type": "image", "source": PNG, **CACHED}
SHOWN = {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}


def text(said):
    return {"type": "text", "text": said}


def result(content=None, id="toolu_1", **others):
    return {"type": "tool_result", "tool_use_id": id, "content": content, **others}


def tool(content, id="toolu_1"):
    return {"role": "tool", "content": content, "tool_call_id": id}


def of_user(*blocks):
    return chat(messages=[{"role": "user", "content": list(blocks)}])["messages"]


def of_assistant(*blocks):
    turn = {"role": "assistant", "content": list(blocks)}
    (message,) = chat(messages=[turn])["messages"]
    return message


def user(content):
    return {"role": "user", "content": content}


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([text("a")], [user("a")]),
        ([text("a"), text(""), text("b")], [user([text("a"), text("b")])]),
        ([text("")], [user("")]),
        ([{**text("a"), **CACHED}, IMAGE], [user([text("a"), SHOWN])]),
        (
            [{"type": "image", "source": {"type": "url", "url": "https://x.test/a.png"}}],
            [user([{"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}])],
        ),
        ([result("sunny")], [tool("sunny")]),
        ([result()], [tool("")]),
        ([result([text("a"), text("b")])], [tool("a\nb")]),
        ([text("and?"), result("sunny")], [tool("sunny"), user("and?")]),
        ([result("a", "1"), result("b", "2")], [tool("a", "1"), tool("b", "2")]),
        ([result("no", is_error=True)], [tool("Error: no")]),
        ([result("Error: no", is_error=True)], [tool("Error: no")]),
        ([result([text("see"), IMAGE])], [tool("see"), user([SHOWN])]),
        (
            [result([IMAGE], "1"), result("b", "2"), text("so?")],
            [tool("", "1"), tool("b", "2"), user([text("From the result of 1:"), SHOWN, text("so?")])],
        ),
        (
            [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "d"}}],
            [user("d")],
        ),
        (
            [{"type": "document", "title": "T", "context": None, "source": {"type": "text", "data": "d"}}],
            [user("T\nd")],
        ),
        (
            [{"type": "document", "source": {"type": "content", "content": [text("d"), IMAGE]}}],
            [user([text("d"), SHOWN])],
        ),
        (
            [{"type": "document", "title": "T", "source": {"type": "content", "content": [IMAGE]}}],
            [user([text("T"), SHOWN])],
        ),
        (
            [{"type": "search_result", "source": "https://x.test", "title": "T", "content": [text("d")]}],
            [user("T\nhttps://x.test\nd")],
        ),
    ],
)  # fmt: skip
def test_a_users_blocks_become(blocks, expected):
    assert of_user(*blocks) == expected


@pytest.mark.parametrize(
    ("blocks", "expected"),
    [
        ([text("a")], {"content": "a"}),
        ([], {"content": ""}),
        (
            [{"type": "thinking", "thinking": "h", "signature": "s"}, text("a")],
            {"content": "a", "reasoning": "h"},
        ),
        (
            [{"type": "thinking", "thinking": x, "signature": ""} for x in ("h", "m")],
            {"reasoning": "hm"},
        ),
        ([{"type": "redacted_thinking", "data": "x"}, text("a")], {"content": "a"}),
    ],
)
def test_an_assistants_blocks_become(blocks, expected):
    assert of_assistant(*blocks) == {"role": "assistant", **expected}


def test_a_tools_use_becomes_a_call_with_the_same_id_and_input():
    use = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"a": [1, "é"]}, **CACHED}

    message = of_assistant(text("well"), use)

    (call,) = message["tool_calls"]
    assert message["content"] == "well"
    assert (call["id"], call["type"], call["function"]["name"]) == ("toolu_1", "function", "look")
    assert json.loads(call["function"]["arguments"]) == {"a": [1, "é"]}


def test_system_blocks_are_one_text():
    sent = chat(system=[{**text("One. "), **CACHED}, text("Two.")])["messages"]

    assert sent[0] == {"role": "system", "content": "One. Two."}


@pytest.mark.parametrize("system", ["", [], [text("")]])
def test_a_system_prompt_that_says_nothing_leaves_the_templates_own(system):
    turns = [user("Hi"), {"role": "system", "content": system}]

    assert chat(system=system, messages=turns)["messages"] == [user("Hi")]


def test_system_messages_before_the_first_turn_join_the_system_prompt():
    leading = [{"role": "system", "content": said} for said in ("", [text("b"), text("c")], "d")]

    sent = chat(system=[text("a"), text("A")], messages=[*leading, user("Hi")])["messages"]
    alone = chat(messages=[*leading, user("Hi")])["messages"]

    assert sent == [{"role": "system", "content": "aA\n\nbc\n\nd"}, user("Hi")]
    assert alone == [{"role": "system", "content": "bc\n\nd"}, user("Hi")]


LOOK = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
REMINDER = {"role": "system", "content": [text("Be "), text("kind.")]}
SESSION = [
    user("a"),
    REMINDER,
    {"role": "assistant", "content": [text("b"), LOOK]},
    user([result("sunny")]),
    {"role": "system", "content": "Mind the time."},
    {"role": "assistant", "content": "c"},
    user("d"),
    REMINDER,
]


def test_a_later_system_message_stays_in_its_place_as_a_users_text():
    sent = chat(system="Be brief.", messages=SESSION)["messages"]

    assert [message["role"] for message in sent] == [
        "system", "user", "user", "assistant", "tool", "user", "assistant", "user", "user",
    ]  # fmt: skip
    assert (sent[0]["content"], sent[2]) == ("Be brief.", user("Be kind."))
    assert sent[5] == user("Mind the time.")


@pytest.mark.parametrize("length", range(1, len(SESSION)))
def test_each_turns_prompt_begins_with_the_one_before(length):
    tools = [{"name": "look", "input_schema": {}}]
    before, after = (
        chat(system="Be brief.", tools=tools, messages=SESSION[:count])
        for count in (length, length + 1)
    )

    assert after["messages"][: len(before["messages"])] == before["messages"]
    assert after["tools"] == before["tools"]


def test_a_system_message_between_a_call_and_its_result_goes_behind_the_result():
    called = {"role": "assistant", "content": [LOOK]}

    sent = chat(messages=[user("a"), called, REMINDER, user([result("sunny"), text("So?")])])

    assert sent["messages"][2:] == [tool("sunny"), user("Be kind."), user("So?")]


def test_turns_of_the_same_role_in_a_row_become_one():
    answers = [{"role": "assistant", "content": said} for said in ("c", [text("d"), LOOK])]

    sent = chat(messages=[user("a"), user([text("b"), IMAGE]), *answers, user([result("e")])])

    asked, answered, told = sent["messages"]
    assert asked == user([text("a"), text("b"), SHOWN])
    assert (answered["content"], len(answered["tool_calls"])) == ([text("c"), text("d")], 1)
    assert told == tool("e")


def test_claude_codes_billing_header_does_not_spoil_the_prefix_cache():
    billing = text("x-anthropic-billing-header: cc_version=2; cch=abc;")

    assert chat(system=[billing, text("Be brief.")])["messages"][0]["content"] == "Be brief."
    assert chat(system=[billing])["messages"] == [user("Hi")]


@pytest.mark.parametrize("content", ["The answer is (", [text("The answer is (")]])
def test_an_answer_goes_on_from_an_assistants_last_text(content):
    sent = chat(messages=[user("?"), {"role": "assistant", "content": content}])

    assert (sent["continue_final_message"], sent["add_generation_prompt"]) == (True, False)


@pytest.mark.parametrize(
    "turns",
    [
        [user("?")],
        [{"role": "assistant", "content": "a"}, user("?")],
        [{"role": "assistant", "content": ""}],
        [user("?"), {"role": "assistant", "content": "a"}, {"role": "system", "content": "s"}],
        [{"role": "assistant", "content": [text("a"), {"type": "tool_use", "id": "1", "name": "t", "input": {}}]}],
    ],
)  # fmt: skip
def test_any_other_conversation_gets_a_turn_of_its_own(turns):
    assert "continue_final_message" not in chat(messages=turns)


def test_a_client_may_say_itself_whether_its_last_turn_goes_on():
    sent = chat(messages=[{"role": "assistant", "content": "a"}], add_generation_prompt=True)

    assert sent["add_generation_prompt"] is True
    assert "continue_final_message" not in sent


@pytest.mark.parametrize(
    ("role", "block", "place"),
    [
        ("user", {"text": "a"}, ".type"),
        ("user", text(1), ".text"),
        ("user", {"type": "text"}, ".text"),
        ("user", {"type": "image"}, ".source"),
        ("user", {"type": "image", "source": {"type": "url", "url": 1}}, ".source.url"),
        ("user", {"type": "document", "source": {"type": "base64", "data": "aGk="}}, ".source.media_type"),
        ("user", result(3), ".content"),
        ("user", {"type": "tool_result"}, ".tool_use_id"),
        ("assistant", {"type": "tool_use", "id": "1", "name": "t", "input": [1]}, ".input"),
        ("assistant", {"type": "tool_use", "id": "1", "input": {}}, ".name"),
        ("assistant", {"type": "thinking", "thinking": 1}, ".thinking"),
    ],
)  # fmt: skip
def test_a_block_that_lacks_what_it_needs_is_refused_where_it_stands(role, block, place):
    turns = [user("Hi"), {"role": role, "content": [text("a"), block]}]

    with pytest.raises(InvalidRequest) as refused:
        chat(messages=turns)

    assert refused.value.param == f"messages[1].content[1]{place}"
