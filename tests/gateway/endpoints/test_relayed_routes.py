"""Score, classify, pooling, tokenize, detokenize, batches: vLLM's own routes, relayed untouched."""

from __future__ import annotations

import pytest

from gateway import calls
from tests import recorded
from tests.mounted import CHAT, MODEL, error_of, provider
from tests.recorded import Recording

ROUTES = {  # by which path each is called, and by which of a server's it goes
    "/v1/score": "/v1/score",
    "/score": "/score",
    "/v1/classify": "/classify",
    "/classify": "/classify",
    "/v1/pooling": "/pooling",
    "/pooling": "/pooling",
    "/v1/tokenize": "/tokenize",
    "/tokenize": "/tokenize",
    "/v1/detokenize": "/detokenize",
    "/detokenize": "/detokenize",
    "/v1/rerank": "/v1/rerank",
    "/rerank": "/rerank",
    "/v2/rerank": "/v2/rerank",
    "/v2/embed": "/v2/embed",
    "/v1/chat/completions/batch": "/v1/chat/completions/batch",
    "/invocations": "/invocations",
}
OPENAI = [path for path in ROUTES if not path.startswith("/v2/")]
RECORDED = [
    name
    for name in recorded.names()
    if recorded.load(name).path in ROUTES
    and recorded.load(name).status == 200
    and "return_documents" not in name  # that one is honoured
]
REFUSED = [
    name
    for name in recorded.names()
    if recorded.load(name).path in OPENAI
    and recorded.load(name).status == 400
    and "doc_objects" not in name
]
VALUE = rb'{"b" : [1.0e5,{"a":"\u0041"}], "c":null}'


def asked(recording: Recording) -> bytes:
    """The recorded request as a client of Aurora puts it, its other bytes as they were."""
    members = calls.read_members(recording.request_body)
    return calls.joined({**members, "model": f'"alpha/{MODEL}"'.encode()})


@pytest.mark.parametrize(("path", "upstream"), ROUTES.items(), ids=ROUTES)
def test_a_call_reaches_its_path_with_only_the_model_changed(gateway, vllm, path, upstream):
    body = b'{"x":%b,"model":"alpha/%b","y":%b}' % (VALUE, MODEL.encode(), VALUE)

    answer = gateway.call("POST", f"{path}?a=%20b", body)

    assert answer.status == 200
    assert vllm.received[0].path_and_query == f"{upstream}?a=%20b"
    assert vllm.received[0].body == b'{"x":%b,"model":"%b","y":%b}' % (
        VALUE,
        MODEL.encode(),
        VALUE,
    )
    assert gateway.record()["path"] == path


@pytest.mark.parametrize("name", RECORDED)
def test_every_recorded_answer_is_relayed_byte_for_byte(gateway, vllm, name):
    recording = recorded.load(name)
    vllm.will_replay(recording)

    answer = gateway.call("POST", recording.path, asked(recording))

    assert (answer.status, answer.body) == (200, recording.body)
    assert answer.headers["content-type"] == dict(recording.headers)["content-type"]
    assert vllm.received[0].path == recording.path


@pytest.mark.parametrize("name", REFUSED)
def test_every_recorded_refusal_is_relayed_byte_for_byte(gateway, vllm, name):
    recording = recorded.load(name)
    vllm.will_replay(recording)

    answer = gateway.call("POST", recording.path, b'{"model":"%b"}' % MODEL.encode())

    assert (answer.status, answer.body) == (400, recording.body)


@pytest.mark.parametrize("path", ["/pooling", "/v1/pooling"])
def test_vectors_as_bytes_are_relayed_with_their_metadata(gateway, vllm, path):
    body = bytes(range(256)) * 100
    told = [("content-type", "application/octet-stream"), ("metadata", '{"data":[{"index":0}]}')]
    vllm.will_answer(200, told, body)

    answer = gateway.post(path, {"model": MODEL, "input": "a", "encoding_format": "bytes"})

    assert (answer.status, answer.body) == (200, body)
    assert [answer.headers[name] for name, _ in told] == [value for _, value in told]


@pytest.mark.parametrize("path", [CHAT, *OPENAI])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"model":"nope"}', (404, "model_not_found")),
        (b"{}", (400, "invalid_request")),
        (b"[", (400, "invalid_json")),
    ],
)
def test_a_call_that_cannot_be_routed_is_refused(gateway, vllm, path, body, expected):
    gateway.publish(provider(vllm.url, models=("one", "two")))
    answer = gateway.call("POST", path, body)

    assert (answer.status, error_of(answer)["code"]) == expected
    assert vllm.received == []


@pytest.mark.parametrize("path", OPENAI)
def test_a_call_without_a_key_is_refused(gateway, vllm, path):
    answer = gateway.call("POST", path, b"{}", key=None)

    assert (answer.status, error_of(answer)["code"]) == (401, "invalid_api_key")


@pytest.mark.parametrize("path", OPENAI)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_these_routes_take_a_post(gateway, vllm, path, method):
    answer = gateway.call(method, path)

    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert error_of(answer)["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", OPENAI)
def test_a_server_that_cannot_be_reached_is_named(gateway, vllm, path):
    vllm.will_refuse()
    gateway.publish(provider(vllm.url))

    answer = gateway.post(path, {"model": MODEL})

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_unreachable")
