"""What vLLM refuses: its own words where it has any, the one shape where it has not."""

from __future__ import annotations

import json

import pytest

from tests import recorded
from tests.mounted import CHAT, MODEL, UPSTREAM_KEY, chat, error_of, provider

JSON = [("content-type", "application/json")]
WORDED = b'{"error": {"message":"Too \\u0041 long","type":"BadRequestError", "code":400}}'


@pytest.mark.parametrize("status", [400, 404, 409, 413, 422, 429, 500, 501, 503, 504])
@pytest.mark.parametrize("path", [CHAT, "/p/alpha/v1/chat/completions"])
def test_an_error_that_vllm_worded_is_relayed_as_it_is(gateway, vllm, status, path):
    vllm.will_answer(status, JSON, WORDED)

    answer = gateway.call("POST", path, chat())

    assert (answer.status, answer.body) == (status, WORDED)
    assert answer.headers["content-type"] == "application/json"


def test_an_error_in_chunks_is_relayed_with_its_length(gateway, vllm):
    head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
    head += b"transfer-encoding: chunked\r\n\r\n"
    vllm.will_send(head, b"5\r\n" + WORDED[:5] + b"\r\n",
                   b"%x\r\n" % len(WORDED[5:]) + WORDED[5:] + b"\r\n0\r\n\r\n")  # fmt: skip

    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, answer.body, answer.chunks) == (400, WORDED, [])


def test_a_permission_error_of_vllm_is_not_taken_for_a_refused_key(gateway, vllm):
    body = b'{"error":{"message":"off","type":"PermissionDeniedError","code":403}}'
    vllm.will_answer(403, JSON, body)

    assert gateway.call("POST", CHAT, chat()).body == body


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (401, b'{"error":"Unauthorized"}'),
        (401, b'{"error":{"message":"no","type":"auth"}}'),
        (403, b"Forbidden"),
        (403, b""),
    ],
)
def test_a_key_that_vllm_refuses_is_502_upstream_auth(gateway, vllm, status, body):
    vllm.will_answer(status, [*JSON, ("www-authenticate", "Bearer")], body)

    answer = gateway.call("POST", CHAT, chat())

    error = error_of(answer)
    assert (answer.status, error["type"]) == (502, "provider_error")
    assert error["code"] == "upstream_auth"
    assert "alpha" in error["message"]
    assert "www-authenticate" not in answer.headers
    assert answer.headers["x-aurora-provider"] == "alpha"
    assert UPSTREAM_KEY not in answer.body.decode()
    assert gateway.record()["reason"].startswith("upstream_auth")


def test_a_provider_with_the_wrong_key_is_502_upstream_auth(gateway, vllm):
    vllm.required_key = "another"
    assert error_of(gateway.call("POST", CHAT, chat()))["code"] == "upstream_auth"
    vllm.required_key = UPSTREAM_KEY
    assert gateway.call("POST", CHAT, chat()).status == 200


BARE: dict[str, tuple[int, bytes, str]] = {
    "error as text": (400, b'{"error":"Nope"}', "Nope"),
    "detail": (405, b'{"detail":"Method Not Allowed"}', "Method Not Allowed"),
    "detail of another 404": (404, b'{"detail":"No such adapter"}', "No such adapter"),
    "empty": (503, b"", "HTTP 503"),
    "empty 500": (500, b"", "HTTP 500"),
    "text": (500, b"Internal Server Error", "HTTP 500"),
    "HTML": (502, b"<html><h1>Bad Gateway</h1></html>", "HTTP 502"),
    "array": (400, b"[]", "HTTP 400"),
    "null": (400, b"null", "HTTP 400"),
    "detail no text": (422, b'{"detail":[{"loc":["body"]}]}', "HTTP 422"),
    "error without message": (500, b'{"error":{"code":5}}', "HTTP 500"),
    "cut JSON": (500, b'{"error":{"message":', "HTTP 500"),
    "deep JSON": (500, b"[" * 100_000, "HTTP 500"),
    "not UTF-8": (500, b'{"error":"\xff"}', "HTTP 500"),
    "too long": (500, b'{"error":"' + b"x" * 2**21 + b'"}', "HTTP 500"),
}


@pytest.mark.parametrize("case", BARE)
def test_a_bare_shape_is_put_into_the_one_shape_with_its_status(gateway, vllm, case):
    status, body, words = BARE[case]
    vllm.will_answer(status, [*JSON, ("x-inner", "1"), ("Retry-After", "3")], body)

    answer = gateway.call("POST", CHAT, chat())

    error = error_of(answer)
    assert answer.status == status
    assert words in error["message"]
    assert error["type"] == ("provider_error" if status >= 500 else "invalid_request_error")
    assert answer.headers["retry-after"] == "3"
    assert answer.headers["x-aurora-provider"] == "alpha"
    assert gateway.record()["status"] == status
    assert gateway.record()["reason"]


def test_long_words_of_vllm_are_cut(gateway, vllm):
    vllm.will_answer(400, JSON, json.dumps({"error": "x" * 100_000}).encode())

    answer = gateway.call("POST", CHAT, chat())

    assert answer.status == 400
    assert 1000 < len(answer.body) < 5000


def test_embeddings_of_a_text_model_are_told_what_is_wrong(gateway, vllm):
    vllm.will_answer(404, JSON, b'{"detail":"Not Found"}')

    answer = gateway.post("/v1/embeddings", {"model": MODEL, "input": "x"})

    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (400, "unsupported_endpoint", "model")
    assert all(word in error["message"] for word in (MODEL, "/v1/embeddings", "alpha"))
    assert gateway.record()["reason"].startswith("unsupported_endpoint")


def test_chat_with_an_embedding_model_is_told_what_is_wrong(gateway, vllm):
    recording = recorded.load("embed_chat")
    assert (recording.status, recording.json) == (404, {"detail": "Not Found"})
    vllm.will_replay(recording)

    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, error_of(answer)["code"]) == (400, "unsupported_endpoint")


def test_a_route_that_this_server_lacks_is_404_when_passed_through(gateway, vllm):
    vllm.will_answer(404, JSON, b'{"detail":"Not Found"}')

    answer = gateway.call("POST", "/p/alpha/classify", b"{}")

    assert answer.status == 404
    assert all(word in error_of(answer)["message"] for word in ("alpha", "/classify"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 304, 300])
def test_no_redirect_reaches_the_client(gateway, vllm, status):
    vllm.will_answer(status, [("location", "http://10.0.0.1/secret")])

    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_error")
    assert "10.0.0.1" not in str(answer)


def test_a_refusal_to_a_streamed_call_is_plain_json(gateway, vllm):
    vllm.will_answer(400, JSON, WORDED)

    answer = gateway.call("POST", CHAT, chat(stream=True))

    assert (answer.status, answer.body, answer.chunks) == (400, WORDED, [])


def test_an_error_body_that_breaks_off_is_502(gateway, vllm):
    vllm.will_send(
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\n" + WORDED[:20], then="close"
    )

    assert error_of(gateway.call("POST", CHAT, chat()))["code"] == "upstream_broke"


def test_an_error_body_that_falls_silent_is_504(gateway, vllm):
    gateway.publish(provider(vllm.url, idle_seconds=0.2))
    vllm.will_send(
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\n" + WORDED[:20], then="stall"
    )

    assert error_of(gateway.call("POST", CHAT, chat()))["code"] == "upstream_timeout"


RECORDED_ERRORS = [
    name
    for name in recorded.names()
    if recorded.load(name).status >= 400
    and recorded.load(name).method != "HEAD"
    and not recorded.load(name).path.startswith("/v1/messages")  # another dialect's
]


@pytest.mark.parametrize("name", recorded.one_of_a_kind(RECORDED_ERRORS, each_path=False))
def test_every_recorded_error_becomes_one_that_a_client_can_read(gateway, vllm, name):
    vllm.will_replay(recorded.load(name))

    answer = gateway.call("POST", CHAT, chat())

    assert 400 <= answer.status < 600
    assert sorted(answer.json["error"]) == ["code", "message", "param", "type"]
