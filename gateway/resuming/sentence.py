"""The one stream that a client sees, whichever servers tell it. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway import dialects, sse
from gateway.calls import joined
from gateway.dialects import Dialect
from gateway.endpoints import CHAT
from gateway.errors import GatewayError
from gateway.resuming.asking import Asking

MOST_TEXT_BYTES = 4 * 2**20
DONE = b"[DONE]"
_CHUNK = msgspec.json.Decoder(dict[str, msgspec.Raw])
BEYOND = ("tool_calls", "function_call", "reasoning", "reasoning_content", "refusal", "audio")
"""What a delta may hold that no other server could go on with."""
STAMPS = ("id", "created", "model")
"""The first server's stand in every chunk."""


class Sentence:
    """An EventStream over several servers: call `begin` before each, and send it `body`.

    It holds the text told so far, MOST_TEXT_BYTES at most, and the call.
    """

    ping = b": keep-alive\n\n"
    reads_events = True
    error: GatewayError | None = None

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._parser = sse.Parser()
        self._texts: list[str] = []
        self._text_bytes = 0
        self._used_tokens = self._server_tokens = 0
        self._prompt_tokens: int | None = None
        self._stamps: dict[str, msgspec.Raw] = {}
        self._has_role = self._has_total = False  # the client has seen these
        self._is_beyond = False  # it has what no other server could go on with
        self._is_finished = False  # it has a finish_reason
        self._is_whole = False  # it has all, with the [DONE] at the end
        self._is_stopped = False  # this server's stream is over for the client
        self.is_aborted = False  # because the server is being stopped, as it says

    # For the servers.

    def begin(self) -> None:
        """Another server is asked. What it says follows what was told."""
        self._parser, self._is_stopped, self.is_aborted = sse.Parser(), False, False
        self._used_tokens += self._server_tokens
        self._server_tokens = 0

    def body(self, model: str) -> bytes:
        return self._asking.body(model, "".join(self._texts), self._used_tokens)

    @property
    def can_go_on(self) -> bool:
        """Whether another server can be asked for the rest."""
        return not (self._is_beyond or self.is_finished)

    @property
    def is_finished(self) -> bool:
        """Whether the text is all there: then `end` says what is missing."""
        most = self._asking.most_tokens
        used = self._used_tokens + self._server_tokens
        return self._is_finished or (bool(self._texts) and most is not None and used >= most)

    # For the client.

    @property
    def is_over(self) -> bool:
        """Whether nothing more of this server's goes out: all is said, or it was stopped."""
        return self._is_whole or self._is_stopped

    @property
    def held_bytes(self) -> int:
        return self._parser.held_bytes

    def feed(self, piece: bytes) -> bytes:
        try:
            events = self._parser.feed(piece)
        except sse.EventTooLong:
            self._is_beyond = self._is_stopped = True
            return b""
        return b"".join(map(self._told, events))

    def end(self) -> bytes:
        """What is missing of a finished sentence. Nothing of one that is not."""
        if self._is_whole or not self.is_finished:
            return b""
        told = b"" if self._is_finished else self._length_reached()
        self._is_whole = True
        if self._asking.wants_usage and not self._has_total:
            told += sse.event(joined({**self._frame(), "choices": b"[]", "usage": self._usage()}))
        return told + sse.event(DONE)

    def broken(self, error: GatewayError) -> bytes:
        return dialects.event(error, Dialect.OPENAI)

    def _told(self, event: sse.Event) -> bytes:
        if self.is_over:
            return b""
        if event.data == DONE:
            self._is_stopped = not self._is_finished
            return self.end()
        try:
            chunk = _CHUNK.decode(event.data)
            choices = msgspec.json.decode(chunk["choices"], type=list[dict[str, Any]])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
            self._is_stopped = True  # an error, or what is no chunk
            return b""
        self._count(chunk)
        if not choices:
            return self._total(chunk)
        return self._choice(chunk, choices)

    def _total(self, chunk: dict[str, msgspec.Raw]) -> bytes:
        """The chunk that says what was used, if the client asked for it."""
        self._has_total = True
        return self._stamped(chunk) if self._asking.wants_usage else b""

    def _count(self, chunk: dict[str, msgspec.Raw]) -> None:
        usage = _object(chunk.get("usage"))
        completion, prompt = usage.get("completion_tokens"), usage.get("prompt_tokens")
        if type(completion) is int:
            self._server_tokens = max(self._server_tokens, completion)
        if self._prompt_tokens is None and type(prompt) is int:
            self._prompt_tokens = prompt

    def _choice(self, chunk: dict[str, msgspec.Raw], choices: list[dict[str, Any]]) -> bytes:
        choice = choices[0]
        if choice.get("finish_reason") == "abort":
            self._is_stopped = self.is_aborted = True
            return b""
        delta = choice.get("delta") if self._asking.path == CHAT else choice
        if len(choices) > 1 or choice.get("index") != 0 or not isinstance(delta, dict):
            self._is_beyond = True
            return self._stamped(chunk)
        self._is_beyond = self._is_beyond or any(delta.get(name) for name in BEYOND)
        text = delta.get("content" if self._asking.path == CHAT else "text")
        if delta.get("role") and self._has_role and not text and not choice.get("finish_reason"):
            return b""
        self._has_role = self._has_role or bool(delta.get("role"))
        self._keep(text)
        self._is_finished = choice.get("finish_reason") is not None
        return self._stamped(chunk)

    def _keep(self, text: Any) -> None:
        if not isinstance(text, str) or not text:
            return
        self._text_bytes += len(text.encode("utf-8", "surrogatepass"))
        self._texts.append(text)
        if self._text_bytes > MOST_TEXT_BYTES:
            self._is_beyond = True
            self._texts.clear()

    def _stamped(self, chunk: dict[str, msgspec.Raw]) -> bytes:
        """`chunk` as the client is to see it: with the first server's stamps, and no usage that it
        did not ask for."""
        if not self._stamps:
            self._stamps = {name: chunk[name] for name in STAMPS if name in chunk}
        told: dict[str, Any] = {**chunk, **self._stamps}
        is_last = memoryview(chunk["choices"]).tobytes() == b"[]"
        if not (is_last or self._asking.wants_usage_throughout):
            told.pop("usage", None)
        elif self._used_tokens and "usage" in chunk:
            told["usage"] = self._usage(chunk["usage"])
        return sse.event(joined(told))

    def _usage(self, said: msgspec.Raw | None = None) -> bytes:
        completion = self._used_tokens + self._server_tokens
        prompt = self._prompt_tokens or 0
        return msgspec.json.encode(
            {
                **_object(said),
                "prompt_tokens": prompt,
                "total_tokens": prompt + completion,
                "completion_tokens": completion,
            }
        )

    def _frame(self) -> dict[str, Any]:
        kind = "chat.completion.chunk" if self._asking.path == CHAT else "text_completion"
        return {**self._stamps, "object": msgspec.json.encode(kind)}

    def _length_reached(self) -> bytes:
        """The finish, where a server broke off after the last token that the call allows."""
        empty: dict[str, Any] = {"delta": {}} if self._asking.path == CHAT else {"text": ""}
        said = {"index": 0, **empty, "logprobs": None, "finish_reason": "length"}
        return sse.event(joined({**self._frame(), "choices": msgspec.json.encode([said])}))


def _object(raw: msgspec.Raw | None) -> dict[str, Any]:
    value = msgspec.json.decode(raw) if raw is not None else None
    return value if isinstance(value, dict) else {}
