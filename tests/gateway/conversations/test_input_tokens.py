"""How many tokens a response would take in, counted by the server; and compacting, which is not done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.conversations.callers import OTHER_KEY, created, kept, sdk, user
from tests.mounted import MODEL, MountedGateway, error_of, provider
from tests.recorded import load
from tests.scripting import json_answer

PATH = "/v1/responses/input_tokens"
COUNTED = load("full_tokenize_chat")
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False}


def ask(**members: Any) -> dict[str, Any]:
    return {"model": f"alpha/{MODEL}", "input": "Hello", **members}


def said(text: str, role: str = "user") -> dict[str, Any]:
    part = {"type": "input_text" if role == "user" else "output_text", "text": text}
    return {"type": "message", "id": f"msg_{text}", "role": role, "content": [part]}


def contents(messages: list[dict[str, Any]]) -> list[str]:
    """The text of each message, however its parts are written."""
    return [
        content if isinstance(content := each["content"], str) else content[0]["text"]
        for each in messages
    ]


def test_the_server_counts_what_openais_client_asks(gateway, vllm):
    vllm.will_replay(COUNTED)

    with sdk(gateway) as client:
        counted = client.responses.input_tokens.count(
            model=f"alpha/{MODEL}",
            instructions="Be brief.",
            input="Hello",
            tools=[TOOL],  # type: ignore[list-item]
        )

    [call] = vllm.received
    assert (counted.object, counted.input_tokens) == (
        "response.input_tokens",
        COUNTED.json["count"],
    )
    assert (call.method, call.path, call.json["model"]) == ("POST", "/tokenize", MODEL)
    assert [message["role"] for message in call.json["messages"]] == ["system", "user"]
    assert call.json["tools"][0]["function"]["name"] == "f"


def test_what_is_continued_is_counted_with_it(gateway, vllm):
    kept(gateway, "resp_1", said("First"), said("Second", "assistant"))
    path = created(gateway, user("Third"))
    vllm.will_replay(COUNTED)
    vllm.will_replay(COUNTED)

    gateway.post(PATH, ask(previous_response_id="resp_1"))
    gateway.post(PATH, ask(conversation={"id": path.rpartition("/")[2]}))

    by_response, by_conversation = (call.json["messages"] for call in vllm.received)
    assert contents(by_response) == ["First", "Second", "Hello"]
    assert contents(by_conversation) == ["Third", "Hello"]


def test_an_item_that_is_referred_to_is_counted_in_its_place(gateway, vllm):
    kept(gateway, "resp_1", said("First"))
    vllm.will_replay(COUNTED)

    gateway.post(PATH, ask(input=[{"type": "item_reference", "id": "msg_First"}, user("Hello")]))

    assert contents(vllm.received[0].json["messages"]) == ["First", "Hello"]


def test_counting_keeps_nothing_and_adds_nothing(gateway, vllm):
    path = created(gateway, user("Third"))
    vllm.will_replay(COUNTED)

    gateway.post(PATH, ask(conversation=path.rpartition("/")[2]))

    assert len(gateway.call("GET", f"{path}/items").json["data"]) == 1


@pytest.mark.parametrize(
    ("members", "code", "param"),
    [
        ({"previous_response_id": "resp_1"}, "response_not_found", "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation_not_found", "conversation"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "item_not_found", "input[0].id"),
        ({"model": "nope"}, "model_not_found", "model"),
    ],
)
def test_what_is_not_there_is_404_and_nothing_is_sent(gateway, vllm, members, code, param):
    answer = gateway.post(PATH, ask(**members))

    assert answer.status == 404
    assert (error_of(answer)["code"], error_of(answer)["param"]) == (code, param)
    assert vllm.received == []


def test_another_keys_response_cannot_be_counted(gateway, vllm):
    kept(gateway, "resp_1", said("First"))

    answer = gateway.post(PATH, ask(previous_response_id="resp_1"), key=OTHER_KEY)

    assert (answer.status, vllm.received) == (404, [])


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"input": 7}, "input"),
        ({"input": None}, "input"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"previous_response_id": "a", "conversation": "b"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_its_name(gateway, vllm, members, param):
    answer = gateway.post(PATH, ask(**members))

    assert (answer.status, error_of(answer)["param"]) == (400, param)
    assert vllm.received == []


def test_a_model_whose_server_counts_nothing_is_told_of(gateway, vllm):
    gateway.publish(provider(vllm.url, routes=frozenset({"/v1/chat/completions"})))

    answer = gateway.post(PATH, ask())

    assert (answer.status, error_of(answer)["code"]) == (400, "unsupported_endpoint")
    assert "/v1/chat/completions" in error_of(answer)["message"]


@pytest.mark.parametrize("name", ["previous_response_id", "conversation"])
def test_where_nothing_is_kept_nothing_can_be_continued(server_thread, vllm, limits, name):
    gateway = MountedGateway(server_thread, limits)
    gateway.publish(provider(vllm.url))
    try:
        answer = gateway.post(PATH, ask(**{name: "some_1"}))
    finally:
        gateway.close()

    assert (answer.status, error_of(answer)["code"]) == (400, "not_stored")
    assert error_of(answer)["param"] == name


def test_an_answer_that_is_no_count_is_the_servers_fault(gateway, vllm):
    vllm.will_send(json_answer(200, {"tokens": []}))

    answer = gateway.post(PATH, ask())

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")


def test_compacting_is_refused_in_one_sentence(gateway, vllm):
    answer = gateway.post("/v1/responses/compact", ask())

    assert (answer.status, error_of(answer)["code"]) == (501, "not_implemented")
    assert error_of(answer)["message"].count(".") == 1
    assert gateway.call("POST", "/v1/responses/compact", key=None).status == 401
    assert vllm.received == []
