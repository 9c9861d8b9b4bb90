"""Plain completions by the official client, beside the same call straight to vLLM."""

from __future__ import annotations

import openai

from tests.vllm.servers import TEXT_MODEL
from tests.vllm.test_chat import TEXT, greedy, told, without_time

PROMPT = "The quick brown fox"


def test_a_completion_is_what_vllm_itself_says(
    client: openai.OpenAI, text_itself: openai.OpenAI
) -> None:
    ours = client.completions.create(prompt=PROMPT, **greedy(TEXT))
    theirs = text_itself.completions.create(prompt=PROMPT, **greedy(TEXT_MODEL))
    assert ours.choices[0].text
    assert without_time(ours) == without_time(theirs)


def test_a_streamed_completion_is_what_vllm_itself_streams(
    client: openai.OpenAI, text_itself: openai.OpenAI
) -> None:
    with client.completions.create(prompt=PROMPT, **greedy(TEXT, stream=True)) as stream:
        ours = list(stream)
    with text_itself.completions.create(prompt=PROMPT, **greedy(TEXT_MODEL, stream=True)) as stream:
        theirs = list(stream)
    assert told(ours) == told(theirs)


def test_a_prompt_of_token_ids_passes(client: openai.OpenAI) -> None:
    answer = client.completions.create(prompt=[[5, 6, 7], [8, 9]], **greedy(TEXT, max_tokens=2))
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4
