"""What a server's chat completions and counts of tokens have in common for all dialects that they
are told in. Pure."""

from __future__ import annotations

import re

import msgspec
from msgspec import Raw, Struct

from gateway.errors import GatewayError, InvalidRequest, NotReady, UpstreamBroke
from gateway.refusals import MOST_MESSAGE_CHARACTERS

TOKENIZE = "/tokenize"
DONE = b"[DONE]"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for bytes that are not what they should be."""

MOST_HELD_BYTES = 64 * 2**20
"""Of one streamed answer, as far as it must be held. No model writes that much."""
MOST_OUTPUT_ITEMS = 1000
"""Of one answer: its texts, its thoughts and its calls."""

NO_REASON = "The server failed while it answered, and gave no reason."
ENDED_EARLY = "The server's stream ended before the answer did."
FAILED = {
    "abort": "The server was stopped before the answer was complete.",
    "error": "The server failed before the answer was complete.",
}
"""finish_reason -> what the caller is told of an answer that only looks whole."""


class PromptDetails(Struct):
    cached_tokens: int | None = None
    created_cache_tokens: int | None = None


class CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class Usage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None


class _Failure(Struct):
    message: str = NO_REASON
    code: int | None = None


class _Count(Struct):
    count: int


_MARKS = re.compile(r'\\.|[\\"{}]', re.DOTALL)
_JSON_BLANKS = " \t\r\n"
_FAILURE = msgspec.json.Decoder(_Failure)
_COUNT = msgspec.json.Decoder(_Count)


def failure(error: Raw) -> GatewayError:
    """The `error` a server sends amid a stream, as one that Aurora words itself.

    The status was 200 by then: what it would have been stands in `code`.
    """
    try:
        said = _FAILURE.decode(error)
    except UNREADABLE:
        said = _Failure()
    kind = {400: InvalidRequest, 503: NotReady}.get(said.code or 0, UpstreamBroke)
    return kind(said.message[:MOST_MESSAGE_CHARACTERS])


def check_output_items(count: int) -> None:
    """Raises UpstreamBroke for an answer of more items than any model writes."""
    if count > MOST_OUTPUT_ITEMS:
        raise UpstreamBroke(f"The server's answer holds more than {MOST_OUTPUT_ITEMS} items.")


class ObjectEnd:
    """Where a JSON object ends that arrives in pieces. Each is looked at once, and none is kept.

    Braces are counted, outside of strings. What closes need not be valid JSON; what never closes,
    or goes on behind its end, is no whole object for certain.
    """

    __slots__ = ("_backslash", "_depth", "_is_closed", "_is_spoilt", "_quoted")

    def __init__(self) -> None:
        self._depth = 0
        self._backslash = ""
        """One that ended the last piece: it escapes what the next begins with."""
        self._quoted = self._is_closed = self._is_spoilt = False

    @property
    def is_reached(self) -> bool:
        return self._is_closed and not self._is_spoilt

    def feed(self, piece: str) -> None:
        after = piece if self._is_closed else self._behind(piece)
        if after.strip(_JSON_BLANKS):
            self._is_spoilt = True

    def _behind(self, piece: str) -> str:
        """What of `piece` stands behind the end."""
        piece = self._backslash + piece
        self._backslash = ""
        for found in _MARKS.finditer(piece):
            mark = found[0]
            if mark == '"':
                self._quoted = not self._quoted
            elif mark == "\\":
                self._backslash = mark
            elif not self._quoted and mark in "{}":
                self._depth += 1 if mark == "{" else -1
                if self._depth <= 0:
                    self._is_closed = True
                    return piece[found.end() :]
        return ""


def counted(answer: bytes) -> int:
    """How many tokens /tokenize counted. Raises UpstreamBroke."""
    try:
        return _COUNT.decode(answer).count
    except UNREADABLE:
        raise UpstreamBroke("The server's answer is no count of tokens.") from None
