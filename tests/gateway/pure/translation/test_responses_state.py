"""What of a create call is Aurora's: the state it begins, and the state it goes on from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.errors import InvalidRequest, UnknownItem
from gateway.translation.responses import Ask, expanded, read, sealing
from tests.gateway.pure.translation.responses_client import members, stamp

USER = {"type": "message", "id": "msg_u", "role": "user", "status": "completed",
        "content": [{"type": "input_text", "text": "Hi"}]}  # fmt: skip
TEXT = {"type": "output_text", "text": "a", "annotations": []}
ANSWER = {"type": "message", "id": "msg_a", "role": "assistant", "status": "completed",
          "content": [TEXT]}  # fmt: skip
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}",
        "status": "completed"}  # fmt: skip


def asked(**call: Any) -> Ask:
    return read(members({"input": "Hi", **call}), stamp())


def items_of(ask: Ask) -> list[Any]:
    return [json.loads(item) for item in ask.items]


def sent(call: dict[str, Any], context: list[Any] = (), referenced: Any = None) -> Any:  # type: ignore[assignment]
    given = members(call)
    kept = [json.dumps(item).encode() for item in context]
    found = {id: json.dumps(item).encode() for id, item in (referenced or {}).items()}
    result = expanded(given, read(given, stamp()), kept, found)
    return {name: json.loads(bytes(raw)) for name, raw in result.items()}


def test_what_a_call_does_not_say():
    ask = asked()

    assert (ask.stream, ask.store, ask.background) == (False, True, False)
    assert (ask.previous_response_id, ask.conversation, ask.references) == (None, None, frozenset())


def test_what_a_call_says():
    ask = asked(stream=True, store=True, background=True, conversation={"id": "conv_1"})

    assert (ask.stream, ask.background, ask.conversation) == (True, True, "conv_1")
    assert asked(conversation="conv_1").conversation == "conv_1"
    assert asked(previous_response_id="resp_1", store=False).previous_response_id == "resp_1"


@pytest.mark.parametrize(
    ("call", "param"),
    [
        ({"stream": 1}, "stream"),
        ({"store": "no"}, "store"),
        ({"background": []}, "background"),
        ({"background": True, "store": False}, "background"),
        ({"previous_response_id": 5}, "previous_response_id"),
        ({"previous_response_id": "r", "conversation": "c"}, "previous_response_id"),
        ({"conversation": {}}, "conversation.id"),
        ({"conversation": 3}, "conversation"),
        ({"input": None}, "input"),
        ({"input": 3}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [USER, {}]}, "input[1].type"),
        ({"input": [{**USER, "id": 3}]}, "input[0].id"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id"),
    ],
)
def test_what_is_no_call_is_refused_by_its_name(call, param):
    with pytest.raises(InvalidRequest) as refused:
        asked(**call)

    assert refused.value.param == param


def test_kept_items_have_an_id_a_type_and_a_message_s_text_in_parts():
    (only,) = items_of(asked())
    assert only == {**USER, "id": only["id"]}
    assert only["id"].startswith("msg_")

    first, second, third = items_of(
        asked(input=[{"role": "assistant", "content": "a"}, {**CALL, "id": None}, USER])
    )
    assert first == {**ANSWER, "id": first["id"]}
    assert second == {**CALL, "id": second["id"]}
    assert second["id"].startswith("fc_")
    assert third == USER


def test_a_continued_call_may_say_nothing_new():
    assert read(members({"previous_response_id": "resp_1"}), stamp()).items == ()


def test_without_state_the_input_is_sent_as_it_came():
    call = members({"model": "m", "input": [{"role": "user", "content": "Hi"}], "store": True})

    result = expanded(call, read(call, stamp()), [], {})

    assert result == call
    assert result["input"] is call["input"]


def test_the_context_comes_before_the_call_s_own_items_and_aurora_s_members_are_not_sent():
    call = {"input": "On", "previous_response_id": "resp_1", "background": False, "store": True,
            "top_k": 1}  # fmt: skip

    result = sent(call, [USER, ANSWER])

    assert result.keys() == {"input", "store", "top_k"}
    assert result["input"][:2] == [USER, ANSWER]
    assert result["input"][2]["content"] == [{"type": "input_text", "text": "On"}]


def test_references_are_replaced_by_what_they_refer_to():
    call = {"input": [{"type": "item_reference", "id": "msg_a"}, {"id": "fc_1"}, USER]}

    assert sent(call, referenced={"msg_a": ANSWER, "fc_1": CALL})["input"] == [ANSWER, CALL, USER]
    ask = asked(**call)
    assert ask.references == {"msg_a", "fc_1"}
    kept = ask.resolved({"msg_a": json.dumps(ANSWER).encode()})
    assert [json.loads(item) for item in kept] == [ANSWER, USER]


def test_a_reference_to_nothing_is_refused_by_its_place():
    with pytest.raises(UnknownItem) as refused:
        sent({"input": [USER, {"type": "item_reference", "id": "msg_x"}]})

    assert refused.value.param == "input[1].id"


@pytest.mark.parametrize(
    ("item", "readable"),
    [
        (ANSWER, ANSWER),
        ({**ANSWER, "content": [TEXT, TEXT]}, {**ANSWER, "content": [{**TEXT, "text": "aa"}]}),
        ({**ANSWER, "content": [{"type": "refusal", "refusal": "no"}]},
         {**ANSWER, "content": [{**TEXT, "text": "no"}]}),
        ({**ANSWER, "content": []}, {"type": "message", "role": "assistant", "content": ""}),
        ({"type": "reasoning", "id": "rs_1", "summary": [],
          "content": [{"type": "reasoning_text", "text": "hm"}], "encrypted_content": "gAAAA"},
         {"type": "reasoning", "id": "rs_1", "summary": [],
          "content": [{"type": "reasoning_text", "text": "hm"}]}),
        ({"type": "reasoning", "id": "rs_1", "summary": [],
          "encrypted_content": sealing.sealed("hm")},
         {"type": "reasoning", "id": "rs_1", "summary": [],
          "content": [{"type": "reasoning_text", "text": "hm"}]}),
        ({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
         {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"}),
        ({"type": "reasoning", "content": 3}, {"type": "reasoning", "content": 3}),
        (CALL, CALL),
    ],
)  # fmt: skip
def test_items_that_vllm_would_misread_are_put_as_it_reads_them(item, readable):
    assert sent({"input": [item, USER]})["input"] == [readable, USER]
    assert sent({"input": "On"}, [item])["input"][0] == readable


@pytest.mark.parametrize("content", ["", "bad base64 ü", "Z0FBQUE=", "gAAAAABo"])
def test_what_was_not_sealed_here_is_not_opened(content):
    assert sealing.unsealed(content) is None
    assert sealing.unsealed(sealing.sealed("hm ü")) == "hm ü"


@pytest.mark.parametrize(
    "item",
    [
        b"1",
        b'["a"]',
        b'{"type":"message","role":"assistant","content":[{"text":"\\ud800"},{"text":"a"}]}',
        b'{"type":"reasoning","content":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
    ids=["number", "list", "surrogate", "deep"],
)
def test_a_kept_item_that_nobody_can_read_goes_along_as_it_is(item):
    given = members({"input": []})

    result = expanded(given, read(given, stamp()), [item], {})

    assert bytes(result["input"]) == b"[" + item + b"]"
