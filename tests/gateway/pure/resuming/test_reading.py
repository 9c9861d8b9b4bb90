"""Which calls another server may finish."""

from __future__ import annotations

from typing import Any

import pytest

from tests.gateway.pure.resuming.telling import CHAT, COMPLETIONS, call

ASSISTANT = {"role": "assistant", "content": "Once"}
USER = {"role": "user", "content": "Go."}


@pytest.mark.parametrize(
    ("path", "members"),
    [
        (CHAT, {}),
        (COMPLETIONS, {}),
        (CHAT, {"n": 1, "logprobs": False, "tools": [], "top_logprobs": 0, "tool_choice": "auto"}),
        (CHAT, {"response_format": {"type": "text"}, "seed": 7, "temperature": 0, "stop": ["x"]}),
        (CHAT, {"max_tokens": None, "n": None, "response_format": None, "unknown": {"a": 1}}),
        (CHAT, {"messages": [USER, ASSISTANT], "continue_final_message": True}),
        (COMPLETIONS, {"prompt": ["Begin:"], "echo": False, "best_of": 1, "suffix": ""}),
    ],
)
def test_a_plain_text_can_be_finished(path: str, members: dict[str, Any]) -> None:
    assert call(path, **members) is not None


@pytest.mark.parametrize(
    ("path", "members"),
    [
        ("/v1/responses", {}),
        ("/v1/messages", {}),
        (CHAT, {"stream": False}),
        (CHAT, {"stream": None}),
        (CHAT, {"n": 2}),
        (CHAT, {"n": True}),
        (CHAT, {"logprobs": True}),
        (COMPLETIONS, {"logprobs": 1}),
        (CHAT, {"prompt_logprobs": 2}),
        (CHAT, {"tools": [{"type": "function"}]}),
        (CHAT, {"tools": [{"type": "function"}], "tool_choice": "none"}),
        (CHAT, {"functions": [{"name": "f"}]}),
        (CHAT, {"response_format": {"type": "json_object"}}),
        (CHAT, {"structured_outputs": {"choice": ["a"]}}),
        (CHAT, {"guided_regex": "a+"}),
        (CHAT, {"use_beam_search": True}),
        (CHAT, {"return_token_ids": True}),
        (CHAT, {"truncate_prompt_tokens": 10}),
        (CHAT, {"thinking_token_budget": 10}),
        (CHAT, {"modalities": ["text", "audio"]}),
        (CHAT, {"kv_transfer_params": {"a": 1}}),
        (CHAT, {"max_tokens": "many"}),
        (CHAT, {"max_tokens": True}),
        (CHAT, {"stream_options": [1]}),
        (CHAT, {"messages": []}),
        (CHAT, {"messages": "Go."}),
        (CHAT, {"messages": ["Go."]}),
        (CHAT, {"messages": [USER, ASSISTANT]}),
        (CHAT, {"add_generation_prompt": False}),
        (CHAT, {"messages": [USER], "continue_final_message": True}),
        (
            CHAT,
            {"messages": [{"role": "assistant", "content": []}], "continue_final_message": True},
        ),
        (COMPLETIONS, {"prompt": [1, 2, 3]}),
        (COMPLETIONS, {"prompt": ["a", "b"]}),
        (COMPLETIONS, {"prompt": [[1, 2]]}),
        (COMPLETIONS, {"echo": True}),
        (COMPLETIONS, {"suffix": "end"}),
        (COMPLETIONS, {"best_of": 2}),
        (COMPLETIONS, {"prompt_embeds": "x"}),
    ],
)
def test_what_could_not_be_gone_on_with_faithfully_is_not(
    path: str, members: dict[str, Any]
) -> None:
    assert call(path, **members) is None


def test_a_call_too_long_to_be_held_is_not() -> None:
    assert call(messages=[{"role": "user", "content": "x" * 17 * 2**20}]) is None
