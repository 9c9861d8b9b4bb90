"""A PDF among the items: a model of text reads its text, and what has none ends no session."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import RESPONSES, TRANSLATED, create, show, will_say
from tests.mounted import MountedGateway, error_of
from tests.pdfs import pdf
from tests.recorded import load

PAGE = "[The text of the attached PDF document. Its images are not visible to you.]\n[Page 1]\n"
CALL = {"type": "function_call", "call_id": "call_1", "name": "read", "arguments": "{}"}


def attached(*pages: str) -> dict[str, Any]:
    data = base64.b64encode(pdf(*pages)).decode()
    return {
        "type": "input_file",
        "filename": "plan.pdf",
        "file_data": f"data:application/pdf;base64,{data}",
    }


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts)}


@pytest.fixture
def translating(mount, vllm) -> MountedGateway:
    """Knows `vllm` as `alpha`, which is spoken to in chat completions."""
    return mount(server(vllm, TRANSLATED))


def test_a_user_attaches_a_pdf_and_goes_on(translating, vllm):
    will_say(vllm, TRANSLATED, "Tea.")
    first = translating.post(RESPONSES, create([user(attached("Bring tea."))])).json["id"]
    vllm.will_replay(load("full_tokenize_chat"))
    goes_on = create("And?", previous_response_id=first)
    translating.post(f"{RESPONSES}/input_tokens", goes_on)
    will_say(vllm, TRANSLATED, "Nothing.")
    translating.post(RESPONSES, goes_on)

    begun, counted, second = (call.json["messages"] for call in vllm.received)
    text = f"plan.pdf\n{PAGE}Bring tea."
    assert begun == [{"role": "user", "content": [{"type": "text", "text": text}]}]
    assert counted == second
    assert second[:1] == begun


@pytest.mark.parametrize(
    ("page", "seen"),
    [
        ("Bring tea.", f"plan.pdf\n{PAGE}Bring tea."),
        ("", "[Attached, but not visible to you: PDF document 'plan.pdf']"),
    ],
)
def test_an_agent_s_tool_reads_a_pdf(translating, vllm, page, seen):
    will_say(vllm, TRANSLATED, "Tea.")
    output = {"type": "function_call_output", "call_id": "call_1", "output": [attached(page)]}

    translating.post(RESPONSES, create([CALL, output]))

    assert vllm.received[0].json["messages"][1]["content"] == seen


def test_a_scan_is_all_that_a_user_sends(translating, vllm):
    answer = translating.post(RESPONSES, create([user(attached(""))]))

    assert (answer.status, error_of(answer)["param"]) == (400, "input[0].content[0]")
    assert vllm.received == []


def test_a_server_of_responses_gets_the_pdf_as_it_came(native, vllm):
    will_say(vllm, "native", "Tea.")
    items = [user(attached("Bring tea."))]

    answer = native.post(RESPONSES, create(items))

    assert vllm.received[0].json["input"] == items
    assert show(native, answer.json["id"]).status == 200
