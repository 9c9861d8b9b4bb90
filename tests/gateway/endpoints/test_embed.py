"""/v2/embed: native, and once more without an `input_type` where the model knows none."""

from __future__ import annotations

import json

import pytest

from tests import recorded
from tests.gateway.endpoints.cohere_shape import message_of
from tests.mounted import MODEL

UNDEFINED = recorded.load("embed_v2_embed")
EMBEDDED = recorded.load("embedkey_v2_embed_no_type")
TYPED = rb'{"texts":["a\u0041"],"input_type":"search_document","model":"alpha/%b","x":1e5}' % (
    MODEL.encode()
)
BARE = rb'{"texts":["a\u0041"],"model":"%b","x":1e5}' % MODEL.encode()


def refusal(message: str) -> bytes:
    said = {"message": message, "type": "BadRequestError", "param": None, "code": 400}
    return json.dumps({"error": said}).encode()


def test_a_type_that_no_model_defines_is_left_out(gateway, vllm):
    vllm.will_replay(UNDEFINED)
    vllm.will_replay(EMBEDDED)

    answer = gateway.call("POST", "/v2/embed", TYPED)

    assert (answer.status, answer.body) == (200, EMBEDDED.body)
    assert answer.headers["x-aurora-left-out"] == "input_type"
    assert [seen.body for seen in vllm.received] == [TYPED.replace(b"alpha/", b""), BARE]
    assert "reason" not in gateway.record()


def test_a_type_that_the_model_takes_is_sent_once(gateway, vllm):
    vllm.will_replay(EMBEDDED)

    answer = gateway.call("POST", "/v2/embed", TYPED)

    assert (answer.status, answer.body) == (200, EMBEDDED.body)
    assert "x-aurora-left-out" not in answer.headers
    assert [seen.body for seen in vllm.received] == [TYPED.replace(b"alpha/", b"")]


OTHERS = [
    (400, "Unsupported input_type 'a'. Supported values: query, passage"),
    (400, "Unsupported input_type 'This model does not define any input_type task instructions.'."),
    (400, "One of texts, images, or inputs must be provided"),
    (500, UNDEFINED.json["error"]["message"]),
]


@pytest.mark.parametrize(("status", "message"), OTHERS)
def test_any_other_refusal_reaches_the_client(gateway, vllm, status, message):
    vllm.will_answer(status, [("content-type", "application/json")], refusal(message))

    answer = gateway.call("POST", "/v2/embed", TYPED)

    assert (answer.status, message_of(answer)) == (status, message)
    assert len(vllm.received) == 1


def test_it_is_left_out_once_only(gateway, vllm):
    vllm.will_replay(UNDEFINED, always=True)

    answer = gateway.call("POST", "/v2/embed", TYPED)

    assert answer.status == 400
    assert message_of(answer) == UNDEFINED.json["error"]["message"]
    assert len(vllm.received) == 2


def test_the_refusal_of_the_second_call_is_told(gateway, vllm):
    vllm.will_replay(UNDEFINED)
    vllm.will_replay(recorded.load("embed_v2_embed_bad"))

    answer = gateway.call("POST", "/v2/embed", TYPED)

    assert answer.status == 400
    assert "Exactly one of texts, images, or inputs" in message_of(answer)


@pytest.mark.parametrize(
    "name", ["embed_v2_embed_bad", "embedkey_v2_embed_int8", "rerank_v2_embed"]
)
def test_errors_have_coheres_shape(gateway, vllm, name):
    vllm.will_replay(recorded.load(name))

    assert message_of(gateway.call("POST", "/v2/embed", BARE))


def test_auroras_own_errors_have_it_too(gateway, vllm):
    refused = gateway.call("POST", "/v2/embed", BARE, key="wrong")
    unknown = gateway.post("/v2/embed", {"model": "nope"})
    method = gateway.call("GET", "/v2/embed")

    assert [answer.status for answer in (refused, unknown, method)] == [401, 404, 405]
    assert "nope" in message_of(unknown)
    assert all(message_of(answer) for answer in (refused, method))
