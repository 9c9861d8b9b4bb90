"""Rerank over the wire: strings pass untouched, objects and `return_documents` are seen to."""

from __future__ import annotations

import json

import pytest

from tests import recorded
from tests.gateway.endpoints.cohere_shape import message_of
from tests.mounted import MODEL, error_of, request

PATHS = ["/v1/rerank", "/v2/rerank", "/rerank"]
ANSWER = recorded.load("rerank_rerank_rerank")
OBJECTS = (
    rb'[{"text":"The capital of France is Paris.","id":1.0e1}, "The weather is sunny.",'
    rb' {"title":"\u0041","text":"A lazy dog."}]'
)


def call(documents: bytes, *more: bytes) -> bytes:
    members = [b'"model":"alpha/%b"' % MODEL.encode(), b'"query":"q"', b'"documents":' + documents]
    return b"{" + b",".join([*members, *more]) + b"}"


@pytest.mark.parametrize("path", PATHS)
def test_objects_are_sent_as_texts_and_come_back_as_they_were(gateway, vllm, path):
    vllm.will_replay(ANSWER)

    answer = gateway.call("POST", path, call(OBJECTS, b'"top_n" : 3'))

    assert vllm.received[0].path == path
    assert vllm.received[0].body == (
        b'{"model":"%b","query":"q","documents":["The capital of France is Paris.",'
        b'"The weather is sunny.","A lazy dog."],"top_n":3}' % MODEL.encode()
    )
    own = [b'{"title":"\\u0041","text":"A lazy dog."}',
           b'{"text":"The weather is sunny.","multi_modal":null}',
           b'{"text":"The capital of France is Paris.","id":1.0e1}']  # fmt: skip
    expected = ANSWER.body
    for document in ("A lazy dog.", "The weather is sunny.", "The capital of France is Paris."):
        told = b'{"text":"%b","multi_modal":null}' % document.encode()
        expected = expected.replace(told, own.pop(0))
    assert (answer.status, answer.body) == (200, expected)
    assert answer.headers["content-length"] == str(len(expected))
    assert answer.headers["x-aurora-provider"] == "alpha"


@pytest.mark.parametrize("path", PATHS)
def test_documents_are_left_out_when_they_are_not_wanted(gateway, vllm, path):
    recording = recorded.load("rerank_rerank_return_documents_false")
    documents = json.dumps(json.loads(recording.request_body)["documents"]).encode()
    vllm.will_replay(recording)

    answer = gateway.call("POST", path, call(documents, b'"return_documents":false'))

    assert vllm.received[0].body == call(documents).replace(b"alpha/", b"")
    told = recording.json["results"]
    assert answer.json == {
        **recording.json,
        "results": [{name: one[name] for name in ("index", "relevance_score")} for one in told],
    }
    for one in told:
        assert b'"relevance_score":%b}' % repr(one["relevance_score"]).encode() in answer.body


@pytest.mark.parametrize("name", ["rerank_rerank_top_n", "rerank_rerank_v1_rerank"])
@pytest.mark.parametrize("more", [(), (b'"return_documents":true',), (b'"max_tokens_per_doc":9',)])
def test_strings_pass_untouched_both_ways(gateway, vllm, name, more):
    vllm.will_replay(recorded.load(name))
    body = call(rb'[ "a\u0041", "b","c" ]', *more, b'"max_chunks_per_doc":1')

    answer = gateway.call("POST", "/v1/rerank", body)

    assert vllm.received[0].body == body.replace(b"alpha/", b"")
    assert answer.body == recorded.load(name).body


def test_a_bad_document_is_named_before_anything_is_sent(gateway, vllm):
    answer = gateway.call("POST", "/v1/rerank", call(b'["a","b","c",7]'))

    error = error_of(answer)
    assert (answer.status, error["param"]) == (400, "documents[3]")
    assert "documents[3]" in error["message"]
    assert vllm.received == []
    assert gateway.record()["reason"].startswith("invalid_request")


def test_a_bad_document_is_told_in_coheres_shape(gateway, vllm):
    answer = gateway.call("POST", "/v2/rerank", call(b"[{}]"))

    assert answer.status == 400
    assert "documents[0]" in message_of(answer)


@pytest.mark.parametrize("name", ["rerank_rerank_empty_docs", "rerank_rerank_unknown_model"])
def test_a_refusal_of_vllm_keeps_its_words(gateway, vllm, name):
    recording = recorded.load(name)
    vllm.will_replay(recording)
    vllm.will_replay(recording)

    plain = gateway.call("POST", "/v1/rerank", call(OBJECTS))
    cohere = gateway.call("POST", "/v2/rerank", call(OBJECTS))

    assert (plain.status, plain.body) == (recording.status, recording.body)
    assert cohere.status == recording.status
    assert message_of(cohere) == recording.json["error"]["message"]


@pytest.mark.parametrize("body", [b"{}", b"nope", b'{"results":[{}]}'])
def test_an_answer_that_is_none_is_the_servers_fault(gateway, vllm, body):
    vllm.will_answer(200, [("content-type", "application/json")], body)

    answer = gateway.call("POST", "/v1/rerank", call(OBJECTS))

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")


def test_a_stream_nobody_asked_for_is_the_servers_fault(gateway, vllm):
    vllm.will_stream(b"data: {}\n\n")

    answer = gateway.call("POST", "/v1/rerank", call(OBJECTS))

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")


def test_the_upstream_is_left_when_the_client_leaves(gateway, vllm):
    vllm.will_stall()
    client = gateway.connect()
    client.send(request("POST", "/v1/rerank", call(OBJECTS)))
    vllm.wait_until_received()
    client.close()

    vllm.wait_until_left()
