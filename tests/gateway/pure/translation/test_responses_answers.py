"""A whole completion becomes a response object that says the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response

from gateway.errors import UpstreamBroke
from gateway.translation.responses import Echo, final, sealing, to_tokenize
from tests.gateway.pure.translation.responses_client import (
    MODEL,
    chunk,
    members,
    translated,
    usage,
    without_ids,
)

FUNCTION = {"type": "function", "name": "f", "parameters": {}, "strict": True}
ENTRY = {"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}


def completion(message: dict[str, Any], reason: str | None = "stop", **choice: Any) -> bytes:
    said = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": reason}
    return json.dumps({"choices": [{**said, **choice}], "usage": usage()}).encode()


def answered(body: bytes, call: dict[str, Any] | None = None, echo: Echo | None = None) -> Any:
    return json.loads(translated(call or {}, echo).whole(body))


def test_reasoning_text_and_calls_are_items_in_this_order():
    response = answered(
        completion(
            {
                "reasoning": "hm",
                "content": "a",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                ],
            },
            "tool_calls",
        ),
        {"tools": [FUNCTION]},
    )

    assert without_ids(response["output"]) == [
        {
            "type": "reasoning",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hm"}],
            "status": "completed",
        },
        {
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "a", "annotations": [], "logprobs": []}],
        },
        {
            "type": "function_call",
            "call_id": "c1",
            "name": "f",
            "arguments": "{}",
            "status": "completed",
        },
    ]
    assert [item["id"].partition("_")[0] for item in response["output"]] == ["rs", "msg", "fc"]
    assert response["usage"] == {
        "input_tokens": 3,
        "input_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 4},
        "total_tokens": 8,
    }


@pytest.mark.parametrize(
    ("reason", "status", "incomplete", "item"),
    [
        ("stop", "completed", None, "completed"),
        ("tool_calls", "completed", None, "completed"),
        (None, "completed", None, "completed"),
        ("length", "incomplete", {"reason": "max_output_tokens"}, "incomplete"),
        ("content_filter", "incomplete", {"reason": "content_filter"}, "incomplete"),
        ("abort", "failed", None, "incomplete"),
        ("error", "failed", None, "incomplete"),
    ],
)
def test_each_reason_to_finish_is_a_status(reason, status, incomplete, item):
    response = answered(completion({"content": "a"}, reason))

    assert (response["status"], response["incomplete_details"]) == (status, incomplete)
    assert response["output"][-1]["status"] == item
    assert (response["error"] is not None) == (status == "failed")


def test_the_older_name_of_reasoning_is_read_and_it_is_sealed_for_those_who_ask():
    asked = {"include": ["reasoning.encrypted_content"]}

    (item,) = answered(completion({"content": None, "reasoning_content": "hm"}), asked)["output"]

    assert item["content"] == [{"type": "reasoning_text", "text": "hm"}]
    assert sealing.unsealed(item["encrypted_content"]) == "hm"


def test_logprobs_come_where_they_were_asked_for_and_belong_to_the_text():
    entries = [
        {**ENTRY, "token": token, "bytes": list(token.encode())} for token in ("h", "m", "ü")
    ]
    bare = {**ENTRY, "token": "x", "bytes": None, "top_logprobs": [{"token": "y", "logprob": -1.0}]}
    thought = completion({"reasoning": "hm", "content": "ü"}, logprobs={"content": entries})
    alone = completion({"content": "x"}, logprobs={"content": [bare]})

    def logprobs(body: bytes, **call: Any) -> Any:
        return answered(body, call)["output"][-1]["content"][0]["logprobs"]

    assert logprobs(thought) == []
    assert logprobs(thought, top_logprobs=1) == [entries[-1]]
    assert logprobs(alone, include=["message.output_text.logprobs"]) == [
        {**bare, "bytes": [120], "top_logprobs": [{"token": "y", "logprob": -1.0, "bytes": [121]}]}
    ]


def test_the_response_says_back_what_was_asked_and_what_only_aurora_knows():
    asked = {
        "instructions": "Be brief.",
        "metadata": {"a": "b"},
        "tools": [FUNCTION],
        "tool_choice": "required",
        "temperature": 0.5,
        "text": {"format": {"type": "json_object"}},
        "reasoning": {"effort": "low"},
        "user": None,
    }
    echo = Echo("resp_before", "conv_1", background=True, store=False, id="resp_mine")

    response = answered(completion({"content": "a"}), asked, echo)

    expected = {
        **asked,
        "id": "resp_mine",
        "object": "response",
        "created_at": 1_700_000_000,
        "model": MODEL,
        "text": {"format": {"type": "json_object"}, "verbosity": "medium"},
        "reasoning": {"effort": "low", "summary": None},
        "previous_response_id": "resp_before",
        "conversation": {"id": "conv_1"},
        "background": True,
        "store": False,
        "parallel_tool_calls": True,
        "top_p": None,
        "truncation": "disabled",
        "max_output_tokens": None,
    }
    assert {name: response[name] for name in expected} == expected
    Response.model_validate(response)


def test_a_call_without_arguments_has_none():
    bare = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": None}}

    (item,) = answered(completion({"tool_calls": [bare]}), {"tools": [FUNCTION]})["output"]

    assert item["arguments"] == ""


def test_an_answer_that_says_nothing_has_no_items():
    assert answered(completion({"content": ""}))["output"] == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"choices":[]}', b"\xff", b'{"choices":[{}]}',
                                  b"[" * 100_000])  # fmt: skip
def test_what_is_no_completion_is_the_server_s_fault(body):
    with pytest.raises(UpstreamBroke):
        translated({}).whole(body)
    with pytest.raises(UpstreamBroke):
        to_tokenize(members({"input": "Hi"}), MODEL).whole(body)


def test_a_response_is_read_for_keeping():
    body = translated({}, Echo(id="resp_1")).whole(completion({"content": "a"}))

    kept = final(body)

    assert kept is not None
    assert (kept.id, kept.status, kept.body) == ("resp_1", "completed", body)
    assert [json.loads(item) for item in kept.output] == json.loads(body)["output"]
    assert final(b'{"error":{"message":"no"}}') is None


@pytest.mark.parametrize("item", ["1", "null", "[]", '"a"'])
def test_an_answer_with_an_output_item_that_is_no_object_is_no_response(item):
    body = f'{{"id":"resp_1","status":"completed","output":[{{"type":"message"}}, {item}]}}'

    assert final(body.encode()) is None


@pytest.mark.parametrize("byte", [-1, 256, 300])
def test_logprobs_whose_bytes_are_none_are_the_server_s_fault(byte):
    entries = {"content": [{**ENTRY, "bytes": [byte]}]}
    call = {"include": ["message.output_text.logprobs"]}
    thought = completion({"content": "a", "reasoning": "b"}, logprobs=entries)

    with pytest.raises(UpstreamBroke):
        translated(call).whole(thought)
    with pytest.raises(UpstreamBroke):
        translated({"stream": True, **call}).stream().feed(
            chunk({"content": "a"}, logprobs=entries)
        )
