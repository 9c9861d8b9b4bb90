"""Items and parts that a server cannot use are told as text or left out, and never refused."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given

from gateway.errors import InvalidRequest
from gateway.translation.documents import unseen
from gateway.translation.responses import history
from tests.gateway.pure.translation.responses_client import chat_of, translated, unhurried
from tests.gateway.pure.translation.test_responses_garbage import json_values

USER = {"type": "message", "role": "user", "content": "Hi"}
ANSWER = {"type": "message", "role": "assistant", "content": "Hello"}
BLOB = base64.b64encode(bytes(range(256)) * 4).decode()
PDF = base64.b64encode(b"%PDF-1.7 \xff").decode()
SHELL = {"type": "exec", "command": ["ls", "-a"]}


def told(*items: dict[str, Any]) -> list[Any]:
    """The messages behind USER's."""
    messages: list[Any] = chat_of({"input": [USER, *items]})["messages"]
    assert messages[0] == {"role": "user", "content": "Hi"}
    return messages[1:]


def lines(*texts: str) -> dict[str, Any]:
    """A message of what is told."""
    return {"role": "user", "content": [{"type": "text", "text": text} for text in texts]}


@pytest.mark.parametrize(
    ("item", "line"),
    [
        ({"type": "web_search_call", "id": "ws_1", "status": "completed",
          "action": {"type": "search", "query": "x"}},
         '[The tool `web_search` was called: {"type":"search","query":"x"}]'),
        ({"type": "local_shell_call", "call_id": "c1", "status": "completed", "action": SHELL},
         '[The tool `local_shell` was called: {"type":"exec","command":["ls","-a"]}]'),
        ({"type": "local_shell_call_output", "id": "c1", "output": "a.py"},
         "[Result of `local_shell`: a.py]"),
        ({"type": "shell_call_output", "call_id": "c1", "max_output_length": 9,
          "output": [{"stdout": "a.py", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}]},
         '[Result of `shell`: [{"stdout":"a.py","stderr":"","outcome":{"type":"exit","exit_code":0}}]]'),
        ({"type": "apply_patch_call", "call_id": "c1", "operation": {"type": "delete_file", "path": "a"}},
         '[The tool `apply_patch` was called: {"type":"delete_file","path":"a"}]'),
        ({"type": "image_generation_call", "id": "ig_1", "result": BLOB, "revised_prompt": "a cat"},
         '[The tool `image_generation` was called: {"result":"(not visible to you)",'
         '"revised_prompt":"a cat"}]'),
        ({"type": "code_interpreter_call", "code": "1+1", "container_id": "cntr_1",
          "outputs": [{"type": "logs", "logs": "2"}]},
         '[The tool `code_interpreter` was called: {"code":"1+1","outputs":[{"type":"logs","logs":"2"}]}]'),
        ({"type": "mcp_call", "server_label": "s", "name": "f", "arguments": "{}", "output": "ok"},
         '[The tool `mcp` was called: {"server_label":"s","name":"f","arguments":"{}","output":"ok"}]'),
        ({"type": "file_search_call", "queries": ["x"], "results": None},
         '[The tool `file_search` was called: ["x"]]'),
        ({"type": "computer_call_output", "call_id": "c1",
          "output": {"type": "computer_screenshot", "image_url": f"data:image/png;base64,{BLOB}"}},
         '[Result of `computer`: {"type":"computer_screenshot","image_url":"(not visible to you)"}]'),
        ({"type": "tool_search_call", "call_id": "c1", "execution": "client", "arguments": {"query": "x"}},
         '[The tool `tool_search` was called: {"query":"x"}]'),
        ({"type": "program", "call_id": "c1", "code": "go()", "fingerprint": BLOB}, "[program: go()]"),
        ({"type": "program_output", "call_id": "c1", "result": "2"}, "[Result of `program`: 2]"),
        ({"type": "compaction", "encrypted_content": "gAAAAabc"}, history.COMPACTED),
        ({"type": "compaction", "encrypted_content": "We did x."}, "We did x."),
        ({"type": "yet_unknown", "content": [{"type": "input_text", "text": "a"}]}, "[yet_unknown: a]"),
        ({"type": "yet_unknown", "text": "a", "role": "assistant"}, "[yet_unknown: a]"),
    ],
)  # fmt: skip
def test_an_item_that_no_chat_message_can_hold_is_told_in_a_user_s_line(item, line):
    assert told(item, ANSWER) == [lines(line), {"role": "assistant", "content": "Hello"}]


@pytest.mark.parametrize(
    "item",
    [
        {"type": "compaction_trigger"},
        {"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "f"}]},
        {"type": "mcp_approval_request", "name": "f", "arguments": "{}"},
        {"type": "mcp_approval_response", "approve": True},
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "tool_search_output", "execution": "client", "tools": [{"type": "function"}]},
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "yet_unknown"},
    ],
)
def test_an_item_that_says_nothing_to_a_model_is_left_out(item):
    assert told(item, ANSWER) == [{"role": "assistant", "content": "Hello"}]


def test_lines_that_follow_each_other_are_one_message():
    call = {"type": "local_shell_call", "call_id": "c1", "action": "ls"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "a.py"}

    assert told(call, output, USER) == [
        lines("[The tool `local_shell` was called: ls]", "[Result of the tool: a.py]"),
        {"role": "user", "content": "Hi"},
    ]


def test_a_line_waits_for_the_results_of_the_calls_before_it():
    call = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "a.py"}

    said = told(call, {"type": "yet_unknown", "text": "a"}, output, ANSWER)

    assert [message["role"] for message in said] == ["assistant", "tool", "user", "assistant"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("Do it.", "Do it."),
        ([{"type": "input_text", "text": "From: /root"},
          {"type": "encrypted_content", "encrypted_content": "Do it."}], "From: /root\nDo it."),
        ([{"type": "input_text", "text": "From: /root"},
          {"type": "encrypted_content", "encrypted_content": "gAAAAB_x-1=="}],
         f"From: /root\n{history.HIDDEN}"),
    ],
)  # fmt: skip
def test_another_agent_s_message_is_a_user_s(content, said):
    item = {"type": "agent_message", "author": "/root", "recipient": "/root/a", "content": content}

    assert told(item) == [{"role": "user", "content": said}]
    assert told({**item, "content": None}) == []


def part(said: dict[str, Any]) -> Any:
    """The text of a user's part beside another."""
    beside = {"type": "input_text", "text": "Look."}
    (message,) = told({"role": "user", "content": [said, beside]})
    first, second = message["content"]
    assert (first["type"], second) == ("text", {"type": "text", "text": "Look."})
    return first["text"]


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"type": "input_file", "filename": "a.csv", "file_data": "data:text/csv;base64,YSxi"},
         "a.csv\na,b"),
        ({"type": "input_file", "file_data": "YSxi"}, "a,b"),
        ({"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"},
         unseen("PDF document", "a.pdf")),
        ({"type": "input_file", "file_url": "https://x/a"}, unseen("file", "https://x/a")),
        ({"type": "input_file", "file_id": "file_1"}, unseen("file", "file_1")),
        ({"type": "input_image", "file_id": "file_1"}, unseen("image", "file_1")),
        ({"type": "input_audio", "input_audio": {"data": "x"}}, unseen("audio recording")),
        ({"type": "encrypted_content", "encrypted_content": "Hi"}, "Hi"),
        ({"type": "encrypted_content", "encrypted_content": "gAAAA"}, unseen("encrypted text")),
        ({"type": "yet_unknown", "text": "Hi"}, "Hi"),
        ({"type": "yet_unknown"}, unseen("part of the type 'yet_unknown'")),
    ],
)  # fmt: skip
def test_a_part_is_told_as_its_text_or_by_a_line_about_it(said, text):
    assert part(said) == text


def test_an_image_in_a_detail_yet_unknown_is_shown():
    image = {"type": "input_image", "image_url": "x", "detail": "4k"}

    (message,) = told({"role": "user", "content": [image]})

    assert message["content"] == [{"type": "image_url", "image_url": {"url": "x"}}]


def test_of_the_assistant_s_parts_those_without_text_are_left_out():
    parts = [{"type": "output_audio", "data": "AA"}, {"type": "summary_text", "text": "a"}]

    assert told({"role": "assistant", "content": parts}) == [{"role": "assistant", "content": "a"}]
    assert told({"role": "assistant", "content": None}) == [{"role": "assistant", "content": ""}]


def test_a_message_of_any_other_role_is_a_user_s():
    assert told({"role": "critic", "content": "No."}) == [{"role": "user", "content": "No."}]


UNSEEN = {"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}


def test_a_last_turn_that_the_model_cannot_see_is_refused():
    with pytest.raises(InvalidRequest) as refused:
        translated({"input": [USER, ANSWER, UNSEEN, UNSEEN]})

    assert refused.value.param == "input[2].content[0]"


@pytest.mark.parametrize("items", [[UNSEEN, ANSWER, USER], [UNSEEN, USER], [USER, UNSEEN]])
def test_an_earlier_turn_or_a_part_of_the_last_may_be_one_that_the_model_cannot_see(items):
    sent = chat_of({"input": items})["messages"]

    line = {"type": "text", "text": unseen("file", "file_1")}
    assert {"role": "user", "content": [line]} in sent


def test_a_file_that_a_tool_read_is_told_by_a_line_and_never_refused():
    call = {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"}
    file = {"type": "input_file", "filename": "a.pdf", "file_data": PDF}

    said = told(call, {"type": "function_call_output", "call_id": "c1", "output": [file]})

    assert said[1]["content"] == unseen("PDF document", "a.pdf")


def test_what_is_nested_deeply_is_not_told_below_some_depth():
    value: Any = "deep"
    for _ in range(500):
        value = [value]

    (message,) = told({"type": "yet_unknown", "value": value})

    (line,) = (part["text"] for part in message["content"])
    assert line.count("[") == history.MOST_DEPTH + 1
    assert history.HIDDEN in line


@unhurried
@given(json_values)
def test_no_item_of_an_unknown_type_is_refused(value):
    for name in ("content", "output", "call_id", "tools", "encrypted_content", "summary"):
        for kind in (
            "yet_unknown",
            "yet_unknown_call",
            "agent_message",
            "compaction",
            "additional_tools",
        ):
            assert isinstance(told({"type": kind, name: value}), list)
