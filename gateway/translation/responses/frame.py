"""The response object: what a call asked for, said back, around what the answer says. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.translation import Stamp
from gateway.translation.responses import reading
from gateway.translation.responses.echo import Echo

_NULL = msgspec.Raw(b"null")
_REPEATED: Mapping[str, msgspec.Raw] = {
    "instructions": _NULL,
    "max_output_tokens": _NULL,
    "max_tool_calls": _NULL,
    "metadata": msgspec.Raw(b"{}"),
    "parallel_tool_calls": msgspec.Raw(b"true"),
    "prompt_cache_key": _NULL,
    "safety_identifier": _NULL,
    "service_tier": msgspec.Raw(b'"auto"'),
    "temperature": _NULL,
    "tool_choice": msgspec.Raw(b'"auto"'),
    "tools": msgspec.Raw(b"[]"),
    "top_logprobs": msgspec.Raw(b"0"),
    "top_p": _NULL,
    "truncation": msgspec.Raw(b'"disabled"'),
    "user": _NULL,
}
"""Said back as they came, and what is said where the call does not name them. Null: the server
decides, and does not tell."""
_FILLED: Mapping[str, dict[str, Any]] = {
    "text": {"format": {"type": "text"}, "verbosity": "medium"},
    "reasoning": {"effort": None, "summary": None},
}


@dataclass(frozen=True, slots=True)
class Frame:
    id: str
    created_at: int
    repeated: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, members: Mapping[str, msgspec.Raw], model: str, stamp: Stamp, echo: Echo) -> Frame:
        repeated: dict[str, Any] = {"model": model}
        for name, default in _REPEATED.items():
            repeated[name] = _on_one_line(members.get(name), name) or default
        for name, defaults in _FILLED.items():
            given = _value(members.get(name), name) or {}
            repeated[name] = defaults | {key: value for key, value in given.items() if value}
        repeated |= {
            "background": echo.background,
            "conversation": None if echo.conversation is None else {"id": echo.conversation},
            "previous_response_id": echo.previous_response_id,
            "store": echo.store,
        }
        return cls(echo.id or stamp.new_id("resp"), stamp.created, repeated)

    def response(
        self,
        status: str,
        output: list[dict[str, Any]],
        usage: dict[str, Any] | None = None,
        *,
        error: dict[str, Any] | None = None,
        incomplete: str | None = None,
    ) -> msgspec.Raw:
        """The response object as JSON. `incomplete` is the reason why it is."""
        return msgspec.Raw(
            msgspec.json.encode(
                {
                    "id": self.id,
                    "object": "response",
                    "created_at": self.created_at,
                    "status": status,
                    "error": error,
                    "incomplete_details": None if incomplete is None else {"reason": incomplete},
                    "output": output,
                    "usage": usage,
                    **self.repeated,
                }
            )
        )


def _on_one_line(raw: msgspec.Raw | None, name: str) -> msgspec.Raw | None:
    """As an event can hold it: a client may have written it over many lines. None for null."""
    value = _value(raw, name)
    return None if value is None else msgspec.Raw(reading.encoded(value, name))


def _value(raw: msgspec.Raw | None, name: str) -> Any:
    return None if raw is None else reading.decoded(raw, name)
