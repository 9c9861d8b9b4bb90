"""The response object: what a call asked for, said back, around what the answer says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from gateway.translation import Stamp
from gateway.translation.responses import options, reading
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


@dataclass(frozen=True, slots=True)
class Frame:
    id: str
    created_at: int
    repeated: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(
        cls,
        members: Mapping[str, msgspec.Raw],
        model: str,
        stamp: Stamp,
        echo: Echo,
        *,
        tools: Sequence[Any] | None = None,
    ) -> Frame:
        """`tools` are those of the call that are not left out. None: all."""
        repeated: dict[str, Any] = {"model": model}
        for name, default in _REPEATED.items():
            repeated[name] = _on_one_line(members.get(name), name) or default
        if tools is not None:
            repeated["tools"] = tools
        repeated |= {
            "reasoning": _reasoning(_value(members.get("reasoning"), "reasoning")),
            "service_tier": "default",
            "text": _text(_value(members.get("text"), "text")),
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


def _reasoning(asked: Any) -> dict[str, Any]:
    """What is done of what was `asked`: the server gives the reasoning itself, and no summary."""
    return {"effort": options.effort(asked or {}), "summary": None}


def _text(asked: Any) -> dict[str, Any]:
    form = (asked or {}).get("format")
    return {"format": form or {"type": "text"}, "verbosity": "medium"}


def _on_one_line(raw: msgspec.Raw | None, name: str) -> msgspec.Raw | None:
    """As an event can hold it: a client may have written it over many lines. None for null."""
    value = _value(raw, name)
    return None if value is None else msgspec.Raw(reading.encoded(value, name))


def _value(raw: msgspec.Raw | None, name: str) -> Any:
    return None if raw is None else reading.decoded(raw, name)
