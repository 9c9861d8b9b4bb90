"""How an error of /v2/… looks to Cohere's clients."""

from __future__ import annotations

from typing import Any

from tests.raw_http import Answer


def message_of(answer: Answer) -> str:
    """The words of an error, which must be in Cohere's shape."""
    said: dict[str, Any] = answer.json
    assert answer.headers["content-type"] == "application/json"
    assert set(said) == {"message", "type", "param", "code"}
    assert isinstance(said["message"], str)
    assert said["message"]
    return said["message"]
