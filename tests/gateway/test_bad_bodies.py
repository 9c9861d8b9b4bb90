"""Bodies that cannot be understood: each gets its 4xx in the one shape, and the log says why."""

from __future__ import annotations

import pytest

from tests.mounted import CHAT, MODEL, error_of, request

NAMED = f'"model":"alpha/{MODEL}"'.encode()
DEEP = 100_000

NOT_JSON = {
    "empty": b"",
    "text": b"hello",
    "cut": b'{"model":"alpha/',
    "cut before the end": b"{" + NAMED,
    "trailing garbage": b"{" + NAMED + b"} x",
    "two objects": b"{" + NAMED + b"}{}",
    "trailing comma": b"{" + NAMED + b",}",
    "single quotes": b"{'model':'x'}",
    "comment": b"{" + NAMED + b"/* */}",
    "NaN": b"{" + NAMED + b',"n":NaN}',
    "Infinity": b"{" + NAMED + b',"n":-Infinity}',
    "leading zero": b"{" + NAMED + b',"n":01}',
    "UTF-16": ("{" + NAMED.decode() + "}").encode("utf-16"),
    "a name not UTF-8": b"{" + NAMED + b',"\xff":1}',
    "two byte order marks": b"\xef\xbb\xbf" * 2 + b"{" + NAMED + b"}",
    "escapes without digits": b"{" + NAMED + rb',"s":"\ud8"}',
    "control character": b"{" + NAMED + b',"s":"\x00"}',
    "number as a name": b"{" + NAMED + b",1:2}",
    "array": b"[{" + NAMED + b"}]",
    "null": b"null",
    "string": b'"model"',
    "number": b"1",
    "deep array": b"{" + NAMED + b',"a":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "deep object": b"{" + NAMED + b',"a":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}",
    "deep and cut": b"[" * DEEP,
    "form": b"model=x&n=1",
}
BAD_MODEL = {
    "half a pair": rb'{"model":"\ud83d"}',
    "number": b'{"model":1}',
    "array": b'{"model":["a"]}',
    "object": b'{"model":{"id":"a"}}',
    "true": b'{"model":true}',
    "too long": b'{"model":"%b"}' % (b"x" * 513),
    "twice, the last bad": b"{" + NAMED + b',"model":7}',
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_json_object_is_400(gateway, vllm, body):
    answer = gateway.call("POST", CHAT, body)

    error = error_of(answer)
    assert (answer.status, error["code"]) == (400, "invalid_json")
    assert error["type"] == "invalid_request_error"
    assert len(error["message"]) < 300
    assert vllm.received == []
    assert gateway.record()["status"] == 400
    assert gateway.record()["reason"].startswith("invalid_json: ")


@pytest.mark.parametrize("body", BAD_MODEL.values(), ids=BAD_MODEL)
def test_a_model_that_is_no_name_is_400(gateway, vllm, body):
    answer = gateway.call("POST", CHAT, body)

    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (400, "invalid_request", "model")
    assert vllm.received == []
    assert "model" in gateway.record()["reason"]


def test_an_uncompressed_body_may_say_so(gateway):
    body = b"{" + NAMED + b"}"
    answer = gateway.call("POST", CHAT, body, [("Content-Encoding", "Identity")])

    assert answer.status == 200


def test_the_connection_goes_on_after_a_refusal(gateway, vllm):
    client = gateway.connect()
    for body in (b"not json", b"{" + NAMED + b"}"):
        client.send(request("POST", CHAT, body))
    statuses = [client.read_answer().status for _ in range(2)]

    assert statuses == [400, 200]
    assert len(vllm.received) == 1


def test_pipelined_calls_are_answered_one_by_one_in_order(gateway, vllm):
    vllm.will_stream(b"data: 1\n\n", b"data: 2\n\n", pause_seconds=0.02)
    client = gateway.connect()
    client.send(
        request("POST", CHAT, b"{" + NAMED + b',"stream":true}', [("X-Request-Id", "one")])
        + request("GET", "/nowhere", headers=[("X-Request-Id", "two")])
        + request("POST", CHAT, b"{" + NAMED + b"}", [("X-Request-Id", "three")])
    )
    answers = [client.read_answer() for _ in range(3)]

    assert [answer.headers["x-request-id"] for answer in answers] == ["one", "two", "three"]
    assert [answer.status for answer in answers] == [200, 404, 200]
    assert [line["request_id"] for line in gateway.records] == ["one", "two", "three"]
    assert len(vllm.received) == 2
