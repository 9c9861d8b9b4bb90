"""Embeddings by the official client, beside the same call straight to vLLM."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.vllm.servers import EMBED_MODEL
from tests.vllm.test_chat import HELLO, TEXT

EMBED = f"vllm-embed/{EMBED_MODEL}"
TEXTS = ["The quick brown fox", "the weather in Paris"]


@pytest.mark.parametrize(
    "encoding", [{"encoding_format": "float"}, {"encoding_format": "base64"}, {}]
)
def test_embeddings_are_what_vllm_itself_says(
    client: openai.OpenAI, embed_itself: openai.OpenAI, encoding: Any
) -> None:
    ours = client.embeddings.create(model=EMBED, input=TEXTS, **encoding)
    theirs = embed_itself.embeddings.create(model=EMBED_MODEL, input=TEXTS, **encoding)
    assert [entry.embedding for entry in ours.data] == [entry.embedding for entry in theirs.data]
    assert len(ours.data) == 2
    assert ours.usage == theirs.usage


def test_embeddings_of_a_text_model_say_what_is_wrong(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.embeddings.create(model=TEXT, input="hello")
    assert 400 <= caught.value.status_code < 500
    assert "embeddings" in caught.value.message
    assert "vllm" in caught.value.message


def test_a_chat_with_an_embedding_model_says_what_is_wrong(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=EMBED, messages=HELLO)
    assert 400 <= caught.value.status_code < 500
    assert "vllm-embed" in caught.value.message
