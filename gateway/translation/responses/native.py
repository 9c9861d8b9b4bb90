"""Items that vLLM's own Responses route would refuse, fail on or read in part, as it reads them.

It takes an assistant's message and a reasoning item by their first part alone, fails on a message
without parts or with a refusal, and refuses `encrypted_content`. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.translation.chat import UNREADABLE
from gateway.translation.responses import reading, sealing
from gateway.translation.responses.items import kind_of


class _Kind(msgspec.Struct):
    type: Any = None
    role: Any = None


_KINDS = msgspec.json.Decoder(_Kind)


def readable(item: bytes) -> bytes:
    """The item for a server: as it came, where a server can read it, or nobody can read it here."""
    try:
        kind = _KINDS.decode(item)
        if kind.type != "reasoning" and kind.role != "assistant":
            return item
        value = msgspec.json.decode(item)
    except UNREADABLE:
        return item
    changed = _reasoning(value) if kind.type == "reasoning" else _message(value)
    return item if changed is None else reading.encoded(changed, "input")


def _message(item: dict[str, Any]) -> dict[str, Any] | None:
    parts = item.get("content")
    if kind_of(item) != "message" or not isinstance(parts, list) or _is_one_text(parts):
        return None
    text = _joined(parts, "")
    if text is None:
        return None
    if not text:
        return {"type": "message", "role": "assistant", "content": ""}
    return {**item, "content": [{"type": "output_text", "text": text, "annotations": []}]}


def _is_one_text(parts: list[Any]) -> bool:
    return len(parts) == 1 and isinstance(parts[0], dict) and "text" in parts[0]


def _reasoning(item: dict[str, Any]) -> dict[str, Any] | None:
    """None: nothing is to be changed, or nothing but the server's refusal is left to say."""
    sealed = item.get("encrypted_content")
    content = _joined(item.get("content") or [], "\n")
    summary = _joined(item.get("summary") or [], "\n")
    if content is None or summary is None:
        return None
    ours = sealing.unsealed(sealed) if isinstance(sealed, str) else None
    told = content or ours or summary
    if not told or not (sealed or len(item.get("content") or ()) > 1 or "summary" not in item):
        return None
    rest = {name: value for name, value in item.items() if name != "encrypted_content"}
    return {**rest, "summary": [], "content": [{"type": "reasoning_text", "text": told}]}


def _joined(parts: Any, between: str) -> str | None:
    """The text of all parts, or None: they are not such as the Responses API has."""
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        return None
    texts = [part.get("text", part.get("refusal")) for part in parts]
    return between.join(texts) if all(isinstance(text, str) for text in texts) else None
