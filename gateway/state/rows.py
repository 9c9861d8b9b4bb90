"""Bytes -> what a row holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from gateway.errors import InvalidRequest
from gateway.models import StoredItem
from gateway.state.values import item_id

ROWS_AT_ONCE = 500


def as_text(body: bytes) -> str:
    """Raises InvalidRequest for bytes that are no JSON text, and no database keeps as text."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("What is to be kept must be UTF-8.") from None
    if "\0" in text:
        raise InvalidRequest("What is to be kept must be JSON: it holds a NUL.")
    return text


def item_rows(
    items: Sequence[bytes], owner: UUID, *, start: int = 0, **fields: Any
) -> list[StoredItem]:
    """Unsaved rows at the positions from `start` on."""
    return [
        StoredItem(
            owner=owner,
            item_id=item_id(item),
            position=position,
            size_bytes=len(item),
            body=as_text(item),
            **fields,
        )
        for position, item in enumerate(items, start)
    ]
