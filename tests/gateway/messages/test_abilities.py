"""A server refuses a call for something that it could do without: it is asked again without."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest

from tests.gateway.messages.anthropic import chat_only, sdk
from tests.mounted import MODEL
from tests.recorded import load

ASKED: dict[str, Any] = {"model": f"alpha/{MODEL}", "max_tokens": 9000}
IMAGE: Any = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="},
}
UNSEEN = "[Attached, but not visible to you: image]"


@pytest.fixture
def client(gateway, vllm):
    gateway.publish(chat_only(vllm))
    with sdk(gateway) as client:
        yield client


def refuse(vllm, message: str) -> None:
    error = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    vllm.will_answer_json(400, {"error": error})


def asked(*content: Any) -> list[Any]:
    return [{"role": "user", "content": list(content)}]


def test_a_coding_agent_reads_an_image_with_a_model_of_text_and_goes_on(client, vllm):
    refuse(vllm, f"{MODEL} is not a multimodal model")
    for _ in range(2):
        vllm.will_replay(load("full_chat_plain"))
    call = {"type": "tool_use", "id": "toolu_1", "name": "Read", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [IMAGE]}
    turns: list[Any] = [
        *asked({"type": "text", "text": "Look."}),
        {"role": "assistant", "content": [call]},
        *asked(result),
    ]

    answer = client.messages.create(messages=turns, **ASKED)
    later: Any = [*turns, {"role": "assistant", "content": answer.content}, *asked({"type": "text", "text": "And?"})]  # fmt: skip
    client.messages.create(messages=later, **ASKED)

    shown, first, second = (call.json["messages"] for call in vllm.received)
    assert shown[3]["content"][0]["type"] == "image_url"
    assert first[2:] == [{"role": "tool", "content": UNSEEN, "tool_call_id": "toolu_1"}]
    assert second[: len(first)] == first


def test_an_image_is_all_that_a_user_sends_to_a_model_of_text(client, vllm):
    refuse(vllm, f"{MODEL} is not a multimodal model")

    with pytest.raises(anthropic.BadRequestError, match="nothing that this model can see"):
        client.messages.create(messages=asked(IMAGE), **ASKED)

    assert len(vllm.received) == 1


def test_the_tokens_of_an_image_are_counted_for_a_model_of_text(client, vllm):
    refuse(vllm, f"{MODEL} is not a multimodal model")
    vllm.will_replay(load("full_tokenize_chat"))
    turns = asked(IMAGE, {"type": "text", "text": "Hi"})

    client.messages.count_tokens(messages=turns, model=ASKED["model"])

    [sent] = vllm.received[1].json["messages"]
    assert sent["content"][0] == {"type": "text", "text": UNSEEN}


@pytest.mark.parametrize(
    ("message", "hint", "name"),
    [
        (
            "thinking_token_budget is set but reasoning_config is not configured.",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}},
            "thinking_token_budget",
        ),
        (
            "reasoning_effort='max' is not supported by Harmony.",
            {"output_config": {"effort": "max"}},
            "reasoning_effort",
        ),
    ],
)
def test_a_hint_that_the_server_does_not_take(client, vllm, message, hint, name):
    refuse(vllm, message)
    vllm.will_replay(load("full_chat_stream_usage"))
    turns = asked({"type": "text", "text": "Hi"})

    with client.messages.stream(messages=turns, **hint, **ASKED) as stream:
        stream.get_final_message()

    first, second = (call.json for call in vllm.received)
    assert name in first
    assert second == {key: value for key, value in first.items() if key != name}


def test_a_refusal_for_what_the_call_does_not_hold_is_the_clients_to_read(client, vllm):
    refuse(vllm, "m is not a multimodal model")

    with pytest.raises(anthropic.BadRequestError, match="not a multimodal model"):
        client.messages.create(messages=asked({"type": "text", "text": "Hi"}), **ASKED)

    assert len(vllm.received) == 1
