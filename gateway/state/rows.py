"""Bytes -> what a row holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from gateway.errors import InvalidRequest
from gateway.models import StoredItem
from gateway.state.values import item_id

ROWS_AT_ONCE = 500
"""Also how many ids are asked for at once: SQLite takes only so many variables in a statement."""

T = TypeVar("T")


def batches(values: Iterable[T]) -> Iterator[list[T]]:
    """In their order, `ROWS_AT_ONCE` at a time."""
    left = iter(values)
    while batch := list(islice(left, ROWS_AT_ONCE)):
        yield batch


def as_text(body: bytes) -> str:
    """Raises InvalidRequest for bytes that are no JSON text, and no database keeps as text."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("What is to be kept must be UTF-8.") from None
    if "\0" in text:
        raise InvalidRequest("What is to be kept must be JSON: it holds a NUL.")
    return text


def insert_items(items: Sequence[bytes], owner: UUID, *, start: int = 0, **fields: Any) -> None:
    """Rows for these, at the positions from `start` on."""
    for rows in batches(item_rows(items, owner, start=start, **fields)):
        StoredItem.objects.bulk_create(rows)


def item_rows(
    items: Sequence[bytes], owner: UUID, *, start: int = 0, **fields: Any
) -> Iterator[StoredItem]:
    """As `insert_items`, but not in the database yet. Raises InvalidRequest as `as_text` does."""
    for position, item in enumerate(items, start):
        yield item_row(item, position, owner, fields)


def item_row(item: bytes, position: int, owner: UUID, fields: dict[str, Any]) -> StoredItem:
    return StoredItem(
        owner=owner,
        item_id=item_id(item),
        position=position,
        size_bytes=len(item),
        body=as_text(item),
        **fields,
    )
