"""A model as a function, and servers that stream what it says as vLLM does."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from gateway import sse
from gateway.calls import parse
from gateway.endpoints import CHAT, COMPLETIONS
from gateway.resuming import Sentence, sentence

WORDS = ["Once", " upon", " a", " ti", "me", "…", " é", "\n\n", "data: ", '"quoted"', " 世界", "\\"]
PROMPT_TOKENS = 9


@dataclass
class Server:
    """Streams the words behind what it is given; `name` is in its stamps. It counts a token a word."""

    name: str
    words: list[str]

    def stream(self, body: bytes) -> list[bytes]:
        """The events of a whole answer to `body`."""
        asked = json.loads(body)
        is_chat = "messages" in asked
        told = _told(asked, is_chat)
        rest = self.words[_count(self.words, told) :]
        most = asked.get("max_tokens", 16 if not is_chat else None)
        said = rest if most is None else rest[:most]
        reason = "stop" if len(said) == len(rest) else "length"
        options = asked.get("stream_options") or {}
        events = (
            [self._chunk({"role": "assistant", "content": ""}, None, 0, options)] if is_chat else []
        )
        for number, word in enumerate(said, start=1):
            last = reason if number == len(said) else None
            delta = {"content": word} if is_chat else {"text": word}
            events.append(self._chunk(delta, last, number, options, is_chat=is_chat))
        if options.get("include_usage"):
            events.append(self._event({"choices": [], "usage": usage(len(said))}))
        return [*events, b"data: [DONE]\n\n"]

    def _chunk(
        self, said: Any, reason: str | None, used: int, options: Any, *, is_chat: bool = True
    ) -> bytes:
        inner = {"delta": said} if is_chat else said
        choice = {"index": 0, **inner, "logprobs": None, "finish_reason": reason}
        chunk: dict[str, Any] = {"choices": [choice]}
        if options.get("continuous_usage_stats"):
            chunk["usage"] = usage(used)
        return self._event(chunk)

    def _event(self, chunk: dict[str, Any]) -> bytes:
        stamps = {"id": f"chatcmpl-{self.name}", "object": "x", "created": len(self.name)}
        return sse.event(json.dumps({**stamps, "model": self.name, **chunk}).encode())


def usage(completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "total_tokens": PROMPT_TOKENS + completion,
        "completion_tokens": completion,
    }


def _told(asked: dict[str, Any], is_chat: bool) -> str:
    """What stands there already of the words."""
    if not is_chat:
        return str(asked["prompt"]).removeprefix("Begin:")
    last = asked["messages"][-1]
    assert (last["role"] == "assistant") == asked.get("continue_final_message", False)
    assert last["role"] != "assistant" or asked["add_generation_prompt"] is False
    return str(last["content"]) if last["role"] == "assistant" else ""


def _count(words: list[str], told: str) -> int:
    """How many words `told` is."""
    for count in range(len(words) + 1):
        if "".join(words[:count]) == told:
            return count
    raise AssertionError(f"not the beginning of the words: {told!r}")


def call(path: str = CHAT, **members: Any) -> Sentence | None:
    """The sentence of a call with these members, streamed."""
    prompt = (
        {"messages": [{"role": "user", "content": "Go."}]} if path == CHAT else {"prompt": "Begin:"}
    )
    body = {"model": "m", "stream": True, **prompt, **members}
    return sentence(path, parse(json.dumps(body).encode()).members)


@dataclass
class Seen:
    """What the client saw."""

    body: bytes

    @property
    def chunks(self) -> list[dict[str, Any]]:
        events = sse.Parser().feed(self.body)
        return [json.loads(event.data) for event in events if event.data != b"[DONE]"]

    @property
    def choices(self) -> list[dict[str, Any]]:
        return [choice for chunk in self.chunks for choice in chunk["choices"]]

    @property
    def text(self) -> str:
        deltas = (choice.get("delta", choice) for choice in self.choices)
        return "".join(delta.get("content", delta.get("text")) or "" for delta in deltas)


__all__ = ["CHAT", "COMPLETIONS", "PROMPT_TOKENS", "WORDS", "Seen", "Server", "call", "usage"]
