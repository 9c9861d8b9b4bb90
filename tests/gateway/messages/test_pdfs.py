"""A PDF in a conversation: a model of text reads its text, and what has none ends no session."""

from __future__ import annotations

import base64
from typing import Any

import anthropic
import pytest

from tests.gateway.messages.anthropic import COUNT, MESSAGES, chat_only, message, sdk
from tests.mounted import MODEL, provider
from tests.pdfs import pdf
from tests.recorded import load

ASKED: dict[str, Any] = {"model": f"alpha/{MODEL}", "max_tokens": 8}
PAGE = "[The text of the attached PDF document. Its images are not visible to you.]\n[Page 1]\n"


def document(*pages: str, **members: Any) -> Any:
    data = base64.b64encode(pdf(*pages)).decode()
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    return {"type": "document", "source": source, **members}


def asked(*content: Any) -> Any:
    return {"role": "user", "content": list(content)}


def text(said: str) -> Any:
    return {"type": "text", "text": said}


@pytest.fixture
def client(gateway, vllm):
    gateway.publish(chat_only(vllm))
    with sdk(gateway) as client:
        yield client


def test_a_user_attaches_a_pdf(client, vllm):
    vllm.will_replay(load("full_chat_plain"))
    plan = document("Bring tea.", title="plan.pdf", citations={"enabled": True})

    client.messages.create(messages=[asked(plan, text("What to bring?"))], **ASKED)

    [sent] = vllm.received[0].json["messages"]
    assert sent["content"] == [text(f"plan.pdf\n{PAGE}Bring tea."), text("What to bring?")]


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        ("Bring tea.", f"Read.\n{PAGE}Bring tea."),
        ("", "Read.\n[Attached, but not visible to you: PDF document]"),
    ],
)
def test_a_coding_agent_reads_a_pdf_and_goes_on(client, vllm, page, seen):
    vllm.will_replay(load("full_chat_plain"))
    vllm.will_replay(load("full_tokenize_chat"))
    vllm.will_replay(load("full_chat_plain"))
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1"}
    turns: Any = [
        asked(text("Read it.")),
        {"role": "assistant", "content": [call]},
        asked({**result, "content": [text("Read."), document(page)]}),
    ]

    answer = client.messages.create(messages=turns, **ASKED)
    client.messages.count_tokens(messages=turns, model=ASKED["model"])
    later: Any = [*turns, {"role": "assistant", "content": answer.content}, asked(text("And?"))]
    client.messages.create(messages=later, **ASKED)

    first, count, second = (call.json["messages"] for call in vllm.received)
    assert first[2] == {"role": "tool", "content": seen, "tool_call_id": "toolu_1"}
    assert first == count == second[:3]


def test_claude_code_sends_the_pdf_beside_the_result_of_its_tool(client, vllm):
    vllm.will_replay(load("full_chat_plain"))
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "PDF file read"}
    turns: Any = [
        asked(text("Read it.")),
        {"role": "assistant", "content": [call]},
        asked(result, document("")),
    ]

    client.messages.create(messages=turns, **ASKED)

    assert vllm.received[0].json["messages"][2:] == [
        {"role": "tool", "content": "PDF file read", "tool_call_id": "toolu_1"},
        {"role": "user", "content": "[Attached, but not visible to you: PDF document]"},
    ]


def test_a_scan_is_all_that_a_user_sends(client, vllm):
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\].content\[0\].*add a text"):
        client.messages.create(messages=[asked(document(""))], **ASKED)

    assert vllm.received == []


def test_a_pdf_in_the_first_call_to_a_server_of_unknown_routes(gateway, vllm):
    gateway.publish(provider(vllm.url))
    vllm.will_answer_json(404, {"detail": "Not Found"})
    vllm.will_replay(load("full_chat_plain"))

    gateway.call("POST", MESSAGES, message(messages=[asked(document("Bring tea."))]))

    [sent] = vllm.received[1].json["messages"]
    assert sent["content"] == f"{PAGE}Bring tea."


@pytest.mark.parametrize(("path", "recording"), [(MESSAGES, "full_messages_plain"), (COUNT, "full_messages_count_tokens")])  # fmt: skip
def test_a_server_of_messages_gets_the_pdf_as_it_came(gateway, vllm, path, recording):
    gateway.publish(provider(vllm.url, routes=frozenset({MESSAGES, COUNT})))
    vllm.will_replay(load(recording))
    turns = [asked(document("Bring tea."))]

    assert gateway.call("POST", path, message(messages=turns)).status == 200

    assert vllm.received[0].json["messages"] == turns
