"""Cohere's own client, unchanged, against what a plain vLLM server answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

import cohere
import pytest

from tests import recorded
from tests.mounted import MASTER_KEY, MODEL

RERANKED = recorded.load("rerank_rerank_v2_rerank")
DOCUMENTS = json.loads(RERANKED.request_body)["documents"]
EMBEDDED = recorded.load("embedkey_v2_embed_no_type")
UNDEFINED = recorded.load("embed_v2_embed")


@pytest.fixture
def client(gateway) -> Iterator[cohere.ClientV2]:
    with cohere.ClientV2(api_key=MASTER_KEY, base_url=gateway.url) as official:
        yield official


@pytest.fixture
def older_client(gateway) -> Iterator[cohere.Client]:
    with cohere.Client(api_key=MASTER_KEY, base_url=gateway.url) as official:
        yield official


def told(response) -> list[tuple[int, float]]:
    return [(result.index, result.relevance_score) for result in response.results]


EXPECTED = [(result["index"], result["relevance_score"]) for result in RERANKED.json["results"]]


def test_it_reranks(client, vllm):
    response = client.rerank(
        model=f"alpha/{MODEL}", query="q", documents=DOCUMENTS, top_n=3, max_tokens_per_doc=100
    )

    assert told(response) == EXPECTED
    assert vllm.received[0].json == {
        "model": MODEL,
        "query": "q",
        "documents": DOCUMENTS,
        "top_n": 3,
        "max_tokens_per_doc": 100,
    }


def test_it_embeds_although_the_model_defines_no_input_type(client, vllm):
    vllm.will_replay(UNDEFINED)
    vllm.will_replay(EMBEDDED)

    response = client.embed(
        model=MODEL, texts=["Hello"], input_type="search_document", embedding_types=["float"]
    )

    assert response.embeddings.float_ == EMBEDDED.json["embeddings"]["float"]
    assert [seen.json.get("input_type") for seen in vllm.received] == ["search_document", None]


def test_the_older_client_gets_its_document_objects_back(older_client, vllm):
    documents = [{"text": text, "source": f"page {at}"} for at, text in enumerate(DOCUMENTS)]

    response = older_client.rerank(
        model=MODEL,
        query="q",
        documents=documents,
        rank_fields=["source", "text"],
        return_documents=True,
    )

    assert vllm.received[0].path == "/v1/rerank"
    assert vllm.received[0].json["documents"] == [
        f"page {at}\n{text}" for at, text in enumerate(DOCUMENTS)
    ]
    assert [result.document.text for result in response.results] == [
        DOCUMENTS[result.index] for result in response.results
    ]
    assert [result.document.source for result in response.results] == [
        f"page {result.index}" for result in response.results
    ]


def test_the_older_client_gets_no_documents_it_does_not_want(older_client):
    response = older_client.rerank(
        model=MODEL, query="q", documents=DOCUMENTS, return_documents=False
    )

    assert len(response.results) == 3
    assert all(result.document is None for result in response.results)


def test_errors_are_its_own_exceptions_with_the_words(client, vllm):
    with pytest.raises(cohere.NotFoundError) as unknown:
        client.rerank(model="nope", query="q", documents=["a"])
    assert "'nope' does not exist" in unknown.value.body["message"]

    vllm.will_replay(recorded.load("rerank_rerank_empty_docs"))
    with pytest.raises(cohere.BadRequestError) as refused:
        client.rerank(model=MODEL, query="q", documents=[])
    assert refused.value.body["message"] == "At least one text_pair element must be given"

    vllm.will_replay(recorded.load("rerank_v2_embed"))
    with pytest.raises(cohere.BadRequestError, match="does not serve /v2/embed"):
        client.embed(model=MODEL, texts=["a"], input_type="search_query")


def test_a_wrong_key_is_its_unauthorized_error(gateway):
    with (
        cohere.ClientV2(api_key="wrong", base_url=gateway.url) as client,
        pytest.raises(cohere.UnauthorizedError) as caught,
    ):
        client.rerank(model=MODEL, query="q", documents=["a"])
    assert caught.value.body["message"]
