"""How an answer ends: its stop reason and its usage, the same for whole answers and streams."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from gateway.translation import raw
from gateway.translation.chat import UNREADABLE, PromptDetails, Usage

_ARGUMENTS = msgspec.json.Decoder(dict[str, Raw])


def usage_of(usage: Usage | None, echo: bytes = b"") -> bytes:
    """As JSON, `echo` at its end. Anthropic counts what was cached beside `input_tokens`, vLLM among
    them.

    A server that does not tell what was cached leaves those counts out, as vLLM's own Messages do.
    """
    if usage is None:
        return b'{"input_tokens":0,"output_tokens":0%b}' % echo
    details = usage.prompt_tokens_details or PromptDetails()
    read, created = details.cached_tokens, details.created_cache_tokens
    fresh = max((usage.prompt_tokens or 0) - (read or 0) - (created or 0), 0)
    counts = [b'{"input_tokens":%d,"output_tokens":%d' % (fresh, usage.completion_tokens or 0)]
    if created is not None:
        counts.append(b',"cache_creation_input_tokens":%d' % created)
    if read is not None:
        counts.append(b',"cache_read_input_tokens":%d' % read)
    return b"".join((*counts, echo, b"}"))


def stop_of(finish: str, stop: str | int | None, *, tools: bool, complete: bool) -> bytes:
    """The members `stop_reason` and `stop_sequence`.

    A call that was written to its end is to be made, also where the text after it hit a stop
    sequence; one that a limit or a stop sequence cut is not. A demanded call ends with `stop`.
    """
    if finish == "length":
        return b'"stop_reason":"max_tokens","stop_sequence":null'
    if finish == "content_filter":
        return b'"stop_reason":"refusal","stop_sequence":null'
    if isinstance(stop, str) and not (tools and complete):
        return b'"stop_reason":"stop_sequence","stop_sequence":' + raw.text(stop)
    if tools:
        return b'"stop_reason":"tool_use","stop_sequence":null'
    return b'"stop_reason":"end_turn","stop_sequence":null'


def is_object(arguments: bytes) -> bool:
    """Whether a call's arguments were written to their end."""
    try:
        _ARGUMENTS.decode(arguments)
    except UNREADABLE:
        return False
    return True


def arguments_of(pieces: list[Raw]) -> bytes:
    """The arguments that came in `pieces`, each a JSON string."""
    try:
        return msgspec.json.decode(raw.joined(pieces), type=str).encode()
    except (msgspec.DecodeError, UnicodeDecodeError, UnicodeEncodeError):
        return b""
