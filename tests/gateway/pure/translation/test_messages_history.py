"""What a session carries along that a vLLM server cannot read: told as text or left out, and only
refused where it is all that is asked."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest
from gateway.translation import messages
from tests.gateway.pure.translation.messages_client import LEAST, chat, raw

PDF = base64.b64encode(b"%PDF-1.7 \xff\xfe").decode()
NOTES = base64.b64encode(b"Bring tea.").decode()


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def base64_of(media_type: str, data: str) -> dict[str, Any]:
    return {"type": "base64", "media_type": media_type, "data": data}


def document(source: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **members}


def sent(*turns: dict[str, Any]) -> Any:
    asked = {"messages": list(turns)}
    counted = messages.to_tokenize(raw({**LEAST, **asked}), "upstream").body
    found = chat(**asked)["messages"]
    assert json.loads(counted)["messages"] == found
    return found


def of_user(*blocks: dict[str, Any]) -> Any:
    (message,) = sent({"role": "user", "content": list(blocks)})
    return message["content"]


def of_assistant(*blocks: dict[str, Any]) -> Any:
    asked, answered = sent({"role": "user", "content": "?"}, {"role": "assistant", "content": [*blocks, text("So.")]})  # fmt: skip
    assert asked["content"] == "?"
    return answered["content"]


TOLD: list[tuple[dict[str, Any], str]] = [
    (document({"type": "text", "media_type": "text/plain", "data": "d"}, citations={"enabled": True}), "d"),
    (document(base64_of("text/csv", NOTES), title="T"), "T\nBring tea."),
    (document(base64_of("application/json", NOTES), context="C"), "C\nBring tea."),
    (document(base64_of("application/pdf", PDF), title="tea.pdf"), "[Attached, but not visible to you: PDF document 'tea.pdf']"),
    (document({"type": "url", "url": "https://x.test/a.pdf"}), "[Attached, but not visible to you: document 'https://x.test/a.pdf']"),
    (document({"type": "file", "file_id": "file_1"}), "[Attached, but not visible to you: document 'file_1']"),
    (document({"type": "unheard_of"}), "[Attached, but not visible to you: document]"),
    ({"type": "image", "source": {"type": "file", "file_id": "file_2"}}, "[Attached, but not visible to you: image 'file_2']"),
    ({"type": "image", "source": {"type": "unheard_of"}}, "[Attached, but not visible to you: image]"),
    ({"type": "container_upload", "file_id": "file_3"}, "[Attached, but not visible to you: block of the type container_upload]"),
    ({"type": "hologram", "depth": [1, {"a": 2}]}, "[Attached, but not visible to you: block of the type hologram]"),
    ({"type": "memo", "title": "T", "content": [text("a"), {"type": "x", "text": "b"}]}, "[memo]\nT\na\nb"),
    (
        {"type": "search_result", "source": "https://x.test", "title": "T", "content": [text("d")], "citations": {"enabled": True}},
        "T\nhttps://x.test\nd",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("block", "told"), TOLD, ids=[told for _, told in TOLD])
def test_a_block_of_a_users_turn_is_text_or_a_line(block, told):
    assert of_user(block, text("?")) == [text(told), text("?")]


@pytest.mark.parametrize(("block", "told"), TOLD, ids=[told for _, told in TOLD])
def test_a_block_of_a_tools_result_is_text_or_a_line(block, told):
    result = {"type": "tool_result", "tool_use_id": "1", "content": [block]}

    assert sent({"role": "user", "content": [result]}) == [
        {"role": "tool", "content": told, "tool_call_id": "1"}
    ]


def test_an_image_that_comes_as_a_document_is_shown():
    assert of_user(document(base64_of("image/png", "aGk="))) == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}}
    ]


@pytest.mark.parametrize("block", [block for block, told in TOLD if "not visible" in told])
def test_what_cannot_be_seen_is_refused_only_where_it_is_all_of_the_last_turn(block):
    alone = {"role": "user", "content": [block, text("")]}
    with pytest.raises(InvalidRequest, match="nothing that this model can see") as refused:
        sent({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "?"}, alone)
    place = "type" if "source" not in block else "source.type"
    assert refused.value.param == f"messages[2].content[0].{place}"

    earlier = sent(
        alone, {"role": "assistant", "content": "What?"}, {"role": "user", "content": "?"}
    )

    assert "not visible" in earlier[0]["content"]


RESULT = {"tool_use_id": "srvtoolu_1"}
LEFT_OUT: list[dict[str, Any]] = [
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "tea"}},
    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "t", "server_name": "s", "input": {}},
    {"type": "redacted_thinking", "data": "opaque"},
    {"type": "thinking", "thinking": "", "signature": "foreign"},
    {"type": "code_execution_tool_result", **RESULT, "content": {"type": "code_execution_result", "stdout": "", "stderr": "", "return_code": 0, "content": []}},
    {"type": "bash_code_execution_tool_result", **RESULT, "content": {"type": "bash_code_execution_tool_result_error", "error_code": "unavailable"}},
    {"type": "web_search_tool_result", **RESULT, "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"}},
    {"type": "tool_search_tool_result", **RESULT, "content": {"type": "tool_search_tool_result_error"}},
    {"type": "compaction", "content": None, "encrypted_content": "opaque"},
    {"type": "fallback", "to": {"model": "m"}},
    {"type": "hologram", "depth": 3},
]  # fmt: skip


@pytest.mark.parametrize("block", LEFT_OUT, ids=lambda block: block["type"])
def test_what_no_model_but_anthropics_can_read_is_left_out_of_an_assistants_turn(block):
    assert of_assistant(block) == "So."
    alone = sent({"role": "user", "content": "?"}, {"role": "assistant", "content": [block]})
    assert alone == [{"role": "user", "content": "?"}]


@pytest.mark.parametrize(
    ("block", "told"),
    [
        (
            {"type": "web_search_tool_result", **RESULT, "content": [
                {"type": "web_search_result", "title": "Tea", "url": "https://x.test", "encrypted_content": "opaque", "page_age": None},
            ]},
            "[web_search_tool_result]\nTea\nhttps://x.test",
        ),
        (
            {"type": "web_fetch_tool_result", **RESULT, "content": {
                "type": "web_fetch_result", "url": "https://x.test",
                "content": document({"type": "text", "media_type": "text/plain", "data": "Tea."}, title="T"),
            }},
            "[web_fetch_tool_result]\nhttps://x.test\nT\nTea.",
        ),
        ({"type": "mcp_tool_result", **RESULT, "is_error": False, "content": [text("a"), text("b")]}, "[mcp_tool_result]\na\nb"),
        ({"type": "mcp_tool_result", **RESULT, "content": "a"}, "[mcp_tool_result]\na"),
        ({"type": "advisor_tool_result", **RESULT, "content": {"type": "advisor_result", "text": "Do."}}, "[advisor_tool_result]\nDo."),
    ],
)  # fmt: skip
def test_the_plain_text_of_what_ran_on_anthropics_servers_is_told(block, told):
    assert of_assistant(block) == [text(told), text("So.")]


def test_a_thought_of_another_provider_is_a_thought():
    turn = {"role": "assistant", "content": [{"type": "thinking", "thinking": "h", "signature": "EqQB"}, text("a")]}  # fmt: skip

    assert sent(turn) == [{"role": "assistant", "content": "a", "reasoning": "h"}]


def test_a_text_with_citations_is_a_text():
    assert of_assistant({**text("a"), "citations": [{"type": "char_location", "cited_text": "x"}]}) == [text("a"), text("So.")]  # fmt: skip


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_summary_stands_for_all_before_it(role):
    turns = [
        {"role": "user", "content": "Long."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "t", "input": {}}]},
        {"role": role, "content": [{"type": "compaction", "content": "Tea was made."}, text("a")]},
        {"role": "user", "content": "And?"},
    ]  # fmt: skip

    found = chat(system="Be brief.", messages=turns)["messages"]

    told = text("Summary of the conversation so far:\nTea was made.")
    assert found[0] == {"role": "system", "content": "Be brief."}
    if role == "user":
        assert found[1:] == [{"role": "user", "content": [told, text("a"), text("And?")]}]
    else:
        assert [message["content"] for message in found[1:]] == [told["text"], "a", "And?"]


def test_a_block_that_is_nested_deeply_costs_no_more_than_its_first_levels():
    block: dict[str, Any] = text("deep")
    for _ in range(200):
        block = {"type": "memo", "content": [block]}

    assert of_user(block, text("?"))[1] == text("?")
