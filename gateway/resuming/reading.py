"""Which calls can be finished by another server, as far as the call itself says. Pure.

The members are those of vLLM's chat and completion requests. A continuation could not honour those
that are named here. All others are sent along as they came; penalties and seeds among them begin
anew with the continuation.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from gateway.endpoints import CHAT, COMPLETIONS
from gateway.resuming.asking import Asking
from gateway.resuming.sentence import Sentence

NOTHING: tuple[Any, ...] = (None, False, 0, "", [], {})
UNLESS: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(
        ("logprobs", "top_logprobs", "prompt_logprobs", "logprob_token_ids", "tools", "functions",
         "function_call", "structured_outputs", "guided_json", "guided_regex", "guided_choice",
         "guided_grammar", "use_beam_search", "suffix", "echo", "prompt_embeds", "audio",
         "return_token_ids", "return_tokens_as_token_ids", "return_token_offsets",
         "return_prompt_text", "return_mm_kwargs", "mm_payload", "kv_transfer_params",
         "ec_transfer_params", "truncate_prompt_tokens", "thinking_token_budget"),
        NOTHING,
    ),
    "n": (None, 1),
    "best_of": (None, 1),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
}  # fmt: skip
"""A call with one of these members is not continued, unless its value is one of those listed."""
MOST_VALUE_BYTES = 256
MOST_READ_BYTES = 16 * 2**20
"""A call with longer members is not continued: they would be held for as long as it streams."""


def sentence(path: str, members: Mapping[str, msgspec.Raw]) -> Sentence | None:
    """The stream of this call as one that another server may finish; None if none could."""
    if path not in {CHAT, COMPLETIONS} or _size(members) > MOST_READ_BYTES:
        return None
    if _value(members, "stream") is not True or not _is_plain(members):
        return None
    asking = _of_chat(members) if path == CHAT else _of_completion(members)
    return None if asking is None else Sentence(asking)


def _size(members: Mapping[str, msgspec.Raw]) -> int:
    return sum(memoryview(raw).nbytes for raw in members.values())


def _value(members: Mapping[str, msgspec.Raw], name: str) -> Any:
    """None also for what is no JSON: the server will say so."""
    if name not in members:
        return None
    try:
        return msgspec.json.decode(members[name])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _is_plain(members: Mapping[str, msgspec.Raw]) -> bool:
    return all(
        _is_one_of(members, name, values) for name, values in UNLESS.items() if name in members
    )


def _is_one_of(members: Mapping[str, msgspec.Raw], name: str, values: tuple[Any, ...]) -> bool:
    """A value that is longer than any of them is none, and not read."""
    if memoryview(members[name]).nbytes > MOST_VALUE_BYTES:
        return False
    value = _value(members, name)
    return any(_is(value, allowed) for allowed in values)


def _is(value: Any, allowed: Any) -> bool:
    """Equal, and of one type: in Python, 1 == True."""
    return type(value) is type(allowed) and value == allowed


def _of_chat(members: Mapping[str, msgspec.Raw]) -> Asking | None:
    messages = _value(members, "messages")
    if not isinstance(messages, list) or not messages or not isinstance(messages[-1], dict):
        return None
    continues = _value(members, "continue_final_message") is True
    last = messages[-1]
    if continues and not (last.get("role") == "assistant" and isinstance(last.get("content"), str)):
        return None
    if not continues and (
        last.get("role") == "assistant" or _value(members, "add_generation_prompt") is False
    ):
        return None
    return _asking(CHAT, members, continues=continues)


def _of_completion(members: Mapping[str, msgspec.Raw]) -> Asking | None:
    prompt = _value(members, "prompt")
    is_list_of_one = isinstance(prompt, list) and len(prompt) == 1
    if not isinstance(prompt[0] if is_list_of_one else prompt, str):
        return None
    return _asking(COMPLETIONS, members)


def _asking(
    path: str, members: Mapping[str, msgspec.Raw], *, continues: bool = False
) -> Asking | None:
    options = _value(members, "stream_options") or {}
    numbers = {name: _value(members, name) for name in ("max_tokens", "max_completion_tokens")}
    numbers["min_tokens"] = _value(members, "min_tokens")
    is_sane = all(value is None or type(value) is int for value in numbers.values())
    if not isinstance(options, dict) or not is_sane:
        return None
    return Asking(path, members, numbers, options, continues=continues)
