"""The list of models, as the official client reads it."""

from __future__ import annotations

import openai
import pytest

from tests.vllm.servers import CLASSIFY_MODEL, EMBED_MODEL, RERANK_MODEL, TEXT_MODEL

TEXT = f"vllm/{TEXT_MODEL}"
EMBED = f"vllm-embed/{EMBED_MODEL}"


def test_every_model_is_listed_by_itself_and_under_its_provider(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [
        *sorted((TEXT_MODEL, CLASSIFY_MODEL, EMBED_MODEL, RERANK_MODEL)),
        f"forced/{TEXT_MODEL}",
        f"vllm-classify/{CLASSIFY_MODEL}",
        EMBED,
        f"vllm-rerank/{RERANK_MODEL}",
        TEXT,
    ]


def test_a_model_keeps_the_card_that_its_server_gave_it(
    client: openai.OpenAI, text_itself: openai.OpenAI
) -> None:
    (theirs,) = [model.to_dict() for model in text_itself.models.list()]
    ours = next(model.to_dict() for model in client.models.list() if model.id == TEXT)
    assert ours["max_model_len"] == 512
    assert ours["owned_by"] == "vllm"
    passing = set(theirs) - {"id", "owned_by", "created", "permission"}
    assert {name: ours[name] for name in passing} == {name: theirs[name] for name in passing}
    assert "permission" in ours  # vLLM makes its id anew for each answer


def test_a_model_is_found_by_an_id_with_slashes(client: openai.OpenAI) -> None:
    assert client.models.retrieve(TEXT).id == TEXT
    assert client.models.retrieve(EMBED).id == EMBED


def test_a_model_that_nobody_serves_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("vllm/nobody/serves-this")
    assert caught.value.code == "model_not_found"
