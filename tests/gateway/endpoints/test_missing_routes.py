"""A model whose server lacks a route: which it has is told, or learnt once, or it goes another way."""

from __future__ import annotations

import pytest

from tests import recorded
from tests.mounted import MODEL, error_of, provider
from tests.scripted_vllm import ScriptedVllm

OF_AN_EMBEDDER = frozenset(
    {"/v1/embeddings", "/v2/embed", "/tokenize", "/detokenize", "/pooling", "/invocations"}
)
LACKING = ["/v1/classify", "/classify", "/v1/score", "/v1/chat/completions/batch", "/rerank"]
NOT_FOUND = recorded.load("rerank_v2_embed")
FALL_BACKS = {  # how it is called, the first and the next path of the server
    "/v1/rerank": ("/v1/rerank", "/rerank"),
    "/rerank": ("/rerank", "/v1/rerank"),
    "/v2/rerank": ("/v2/rerank", "/v1/rerank"),
    "/v1/score": ("/v1/score", "/score"),
    "/score": ("/score", "/v1/score"),
}
BODY = {"model": MODEL, "query": "q", "documents": ["a"]}


@pytest.mark.parametrize("path", LACKING)
def test_a_server_that_says_its_routes_is_not_asked_for_others(gateway, vllm, path):
    gateway.publish(provider(vllm.url, routes=OF_AN_EMBEDDER))

    answer = gateway.post(path, BODY)

    error = error_of(answer)
    assert (answer.status, error["code"], error["param"]) == (400, "unsupported_endpoint", "model")
    told = "It has /detokenize, /pooling, /tokenize, /v1/embeddings, /v2/embed."
    assert error["message"].endswith(told)
    assert all(word in error["message"] for word in (MODEL, "alpha"))
    assert vllm.received == []


def test_a_route_that_is_said_is_taken_whatever_its_spelling(gateway, vllm):
    gateway.publish(provider(vllm.url, routes=OF_AN_EMBEDDER))

    assert gateway.post("/v1/pooling", BODY).status == 200
    assert vllm.received[0].path == "/pooling"


@pytest.mark.parametrize("path", ["/v1/classify", "/pooling", "/v1/detokenize"])
def test_a_missing_route_is_learnt_by_one_call(gateway, vllm, path):
    vllm.will_replay(NOT_FOUND)
    first, second = gateway.post(path, BODY), gateway.post(path, BODY)

    assert len(vllm.received) == 1
    for answer in (first, second):
        assert (answer.status, error_of(answer)["code"]) == (400, "unsupported_endpoint")
    assert gateway.post("/tokenize", BODY).status == 200


@pytest.mark.parametrize("path", ["/v1/embeddings", "/v1/classify"])
def test_a_call_goes_to_the_next_server_of_the_model_that_has_the_route(gateway, vllm, path):
    with ScriptedVllm() as other:
        gateway.publish(provider(vllm.url), provider(other.url, "omega"))
        vllm.will_replay(NOT_FOUND)
        answers = [gateway.post(path, BODY) for _ in range(2)]

        assert [answer.headers["x-aurora-provider"] for answer in answers] == ["omega"] * 2
        assert (len(vllm.received), len(other.received)) == (1, 2)
        assert vllm.received[0].body == other.received[0].body


@pytest.mark.parametrize("path", FALL_BACKS)
def test_a_call_goes_by_the_next_path_that_there_is(gateway, vllm, path):
    first, following = FALL_BACKS[path]
    vllm.will_replay(NOT_FOUND)

    assert gateway.post(path, BODY).status == 200
    assert gateway.post(path, BODY).status == 200

    assert [seen.path for seen in vllm.received] == [first, following, following]
    assert vllm.received[0].body == vllm.received[1].body


@pytest.mark.parametrize("path", FALL_BACKS)
def test_a_known_path_is_taken_at_once(gateway, vllm, path):
    _, following = FALL_BACKS[path]
    gateway.publish(provider(vllm.url, routes=frozenset({following})))

    assert gateway.post(path, BODY).status == 200
    assert [seen.path for seen in vllm.received] == [following]


@pytest.mark.parametrize(("path", "tries"), [("/v1/score", 2), ("/rerank", 2), ("/v1/rerank", 2)])
def test_where_no_path_is_left_the_model_is_of_another_kind(gateway, vllm, path, tries):
    vllm.will_replay(NOT_FOUND, always=True)

    for _ in range(2):
        answer = gateway.post(path, BODY)
        assert (answer.status, error_of(answer)["code"]) == (400, "unsupported_endpoint")
    assert len(vllm.received) == tries


def test_another_server_of_the_model_may_have_the_route(gateway, vllm):
    with ScriptedVllm() as other:
        embedder = provider(vllm.url, routes=OF_AN_EMBEDDER)
        gateway.publish(embedder, provider(other.url, "beta", routes=frozenset({"/classify"})))

        assert gateway.post("/v1/classify", BODY).headers["x-aurora-provider"] == "beta"

    assert vllm.received == []


def test_a_model_that_is_missing_is_not_taken_for_a_route(gateway, vllm):
    vllm.will_replay(recorded.load("rerank_rerank_unknown_model"), always=True)

    for _ in range(2):
        answer = gateway.post("/v1/classify", BODY)
        assert (answer.status, error_of(answer)["type"]) == (404, "NotFoundError")
    assert len(vllm.received) == 2
