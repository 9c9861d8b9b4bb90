"""Every route that the tiny models have, by its path at Aurora, beside the server itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cohere
import httpx
import pytest

from tests.vllm.conftest import MASTER_KEY
from tests.vllm.servers import CLASSIFY_MODEL, EMBED_MODEL, RERANK_MODEL, TEXT_MODEL, Server

MODELS = {
    "text": TEXT_MODEL,
    "embed": EMBED_MODEL,
    "rerank": RERANK_MODEL,
    "classify": CLASSIFY_MODEL,
}
HELLO = [{"role": "user", "content": "Hello!"}]
RANKED = {"query": "What is the capital of France?", "documents": ["Paris.", "It rains.", "A dog."]}
SCORED = {"text_1": "capital of France", "text_2": ["Paris.", "It rains."]}
ROUTES: list[tuple[str, str, str, dict[str, Any]]] = [
    # server, path at Aurora, path at the server, what is asked
    ("text", "/v1/chat/completions/batch", "", {"messages": [HELLO, HELLO], "max_tokens": 4}),
    ("text", "/v1/tokenize", "/tokenize", {"prompt": "Hello, world!"}),
    ("text", "/tokenize", "", {"messages": HELLO}),
    ("text", "/v1/detokenize", "/detokenize", {"tokens": [311, 261, 203]}),
    ("text", "/detokenize", "", {"tokens": [311, 261, 203]}),
    ("text", "/v1/messages", "", {"messages": HELLO, "max_tokens": 4}),
    ("text", "/v1/messages/count_tokens", "", {"messages": HELLO}),
    ("text", "/v1/responses", "", {"input": "Hello!", "max_output_tokens": 4}),
    ("text", "/invocations", "", {"prompt": "Hello", "max_tokens": 4, "temperature": 0}),
    ("embed", "/invocations", "", {"input": "Hello"}),
    ("embed", "/v1/embeddings", "", {"input": ["Hello", "world"]}),
    ("embed", "/v1/pooling", "/pooling", {"input": "Hello", "task": "embed"}),
    ("embed", "/pooling", "", {"input": "Hello", "task": "embed"}),
    ("embed", "/v2/embed", "", {"texts": ["Hello"], "embedding_types": ["float"]}),
    ("embed", "/v1/score", "", SCORED),
    ("rerank", "/v1/rerank", "", RANKED),
    ("rerank", "/v2/rerank", "", RANKED),
    ("rerank", "/rerank", "", {**RANKED, "top_n": 2}),
    ("rerank", "/v1/score", "", SCORED),
    ("rerank", "/score", "", SCORED),
    ("classify", "/v1/classify", "/classify", {"input": ["What a day!"]}),
    ("classify", "/classify", "", {"input": ["What a day!"]}),
    ("classify", "/pooling", "", {"input": "What a day!", "task": "classify"}),
]
MADE_ANEW = {"id", "created", "created_at", "usage"}


def told(value: Any) -> Any:
    """What an answer says, without what is made anew for each. A score's last digits hang on what
    else is in the batch."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {name: told(inner) for name, inner in value.items() if name not in MADE_ANEW}
    return [told(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize(
    ("kind", "path", "upstream", "asked"), ROUTES, ids=[f"{r[0]} {r[1]}" for r in ROUTES]
)
def test_a_route_answers_as_the_server_itself(
    http: httpx.Client,
    fleet: dict[str, Server],
    *,
    kind: str,
    path: str,
    upstream: str,
    asked: dict[str, Any],
) -> None:
    greedy = {"temperature": 0} if kind == "text" and "token" not in path else {}
    body = {"model": MODELS[kind], **greedy, **asked}
    headers = {"Authorization": "Bearer token-abc123"}

    ours = http.post(path, json=body)
    theirs = httpx.post(
        fleet[kind].url + (upstream or path), json=body, headers=headers, timeout=60
    )

    assert (ours.status_code, theirs.status_code) == (200, 200), ours.text
    assert told(ours.json()) == told(theirs.json())


@pytest.mark.parametrize(
    ("model", "path", "has"),
    [
        (f"vllm/{TEXT_MODEL}", "/v1/embeddings", "/v1/chat/completions"),
        (f"vllm/{TEXT_MODEL}", "/v1/rerank", "/tokenize"),
        (EMBED_MODEL, "/v1/chat/completions", "/v1/embeddings"),
        (EMBED_MODEL, "/v1/messages", "/v1/embeddings"),
        (RERANK_MODEL, "/v1/responses", "/v1/rerank"),
        (CLASSIFY_MODEL, "/v1/rerank", "/classify"),
    ],
)
def test_a_model_of_another_kind_is_told_what_it_is_good_for(
    http: httpx.Client, model: str, path: str, has: str
) -> None:
    answer = http.post(path, json={"model": model, "input": "x", "messages": [], "max_tokens": 1})

    assert answer.status_code == 400
    assert "does not serve" in answer.text
    assert has in answer.text


def test_documents_may_be_objects_and_left_out_of_the_answer(http: httpx.Client) -> None:
    documents = [{"text": text, "n": n} for n, text in enumerate(RANKED["documents"])]
    body = {"model": RERANK_MODEL, **RANKED}

    plain = http.post("/v1/rerank", json=body).json()["results"]
    objects = http.post("/v1/rerank", json={**body, "documents": documents}).json()["results"]
    bare = http.post("/v1/rerank", json={**body, "return_documents": False}).json()["results"]

    order = [one["index"] for one in plain]
    assert [one["index"] for one in objects] == order
    assert [one["document"] for one in objects] == [documents[index] for index in order]
    assert [set(one) for one in bare] == [{"index", "relevance_score"}] * len(order)


@pytest.fixture(scope="module")
def co(aurora: Server) -> Iterator[cohere.ClientV2]:
    with httpx.Client(timeout=60) as http:
        yield cohere.ClientV2(api_key=MASTER_KEY, base_url=aurora.url, httpx_client=http)


def test_coheres_client_reranks(co: cohere.ClientV2) -> None:
    answer = co.rerank(model=RERANK_MODEL, query="capital", documents=["a", "b", "c"], top_n=2)

    assert len(answer.results) == 2
    assert answer.results[0].relevance_score >= answer.results[1].relevance_score


def test_coheres_client_embeds(co: cohere.ClientV2, http: httpx.Client) -> None:
    answer = co.embed(
        model=EMBED_MODEL,
        texts=["Hello", "world"],
        input_type="search_document",
        embedding_types=["float"],
    )
    ours = http.post("/v1/embeddings", json={"model": EMBED_MODEL, "input": ["Hello", "world"]})

    assert answer.embeddings.float_ is not None
    vectors = [one["embedding"] for one in ours.json()["data"]]
    assert answer.embeddings.float_ == [pytest.approx(vector, abs=1e-5) for vector in vectors]


def test_coheres_client_hears_why_not(co: cohere.ClientV2) -> None:
    with pytest.raises(cohere.core.api_error.ApiError) as caught:
        co.rerank(model="nope", query="q", documents=["a"])

    assert caught.value.status_code == 404
    assert "nope" in caught.value.body["message"]
