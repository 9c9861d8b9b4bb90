"""A call as it is put to the first server, and to one that goes on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.calls import joined
from gateway.endpoints import CHAT

COMPLETION_TOKENS = 16
"""What vLLM takes for the `max_tokens` of a completion that has none."""


@dataclass(frozen=True, slots=True)
class Asking:
    """`numbers` are the limits of tokens that the call sets, by their members' names; `options` is
    its `stream_options`. `continues`: the client itself asks the model to go on with the last
    message, by `continue_final_message`."""

    path: str
    members: Mapping[str, msgspec.Raw] = field(repr=False)
    numbers: Mapping[str, int | None]
    options: Mapping[str, Any]
    continues: bool = False

    @property
    def wants_usage(self) -> bool:
        return self.options.get("include_usage") is True

    @property
    def wants_usage_throughout(self) -> bool:
        return self.wants_usage and self.options.get("continuous_usage_stats") is True

    @property
    def most_tokens(self) -> int | None:
        """Of the whole answer; None: as many as the context holds."""
        said = self.numbers["max_completion_tokens"]
        said = self.numbers["max_tokens"] if said is None else said
        if said is None and self.path != CHAT:
            return COMPLETION_TOKENS
        return said

    def body(self, model: str, text: str, used_tokens: int) -> bytes:
        """For a server that goes on behind `text`, or begins if that is empty; each of its events
        says how many tokens it has used."""
        said: dict[str, Any] = {**self.members, "model": _json(model)}
        counted = {**self.options, "include_usage": True, "continuous_usage_stats": True}
        said["stream_options"] = _json(counted)
        if text:
            said |= self._behind(text)
            said |= self._lessened(used_tokens)
        return joined(said)

    def _behind(self, text: str) -> dict[str, bytes]:
        if self.path != CHAT:
            prompt = msgspec.json.decode(self.members["prompt"])
            return {"prompt": _json((prompt[0] if isinstance(prompt, list) else prompt) + text)}
        messages = msgspec.json.decode(self.members["messages"], type=list[msgspec.Raw])
        if self.continues:
            last = msgspec.json.decode(messages.pop())
            message = {**last, "content": last["content"] + text}
        else:
            message = {"role": "assistant", "content": text}
        return {
            "messages": _json([*messages, message]),
            "add_generation_prompt": b"false",
            "continue_final_message": b"true",
        }

    def _lessened(self, used_tokens: int) -> dict[str, bytes]:
        limits = dict(self.numbers)
        if self.path != CHAT and limits["max_tokens"] is None:
            limits["max_tokens"] = COMPLETION_TOKENS
        return {
            name: _json(max(0 if name == "min_tokens" else 1, most - used_tokens))
            for name, most in limits.items()
            if most is not None
        }


def _json(value: Any) -> bytes:
    return msgspec.json.encode(value)
