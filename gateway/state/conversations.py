"""Conversations and their items as rows. Blocking: these run on a thread of `lane`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec
from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from gateway.errors import InvalidRequest, UnknownConversation, UnknownItem
from gateway.models import LIVE, StoredConversation, StoredItem
from gateway.state.pages import check_context
from gateway.state.rows import as_text, batches, insert_items
from gateway.state.values import Conversation, is_id, item_id, quoted


def unknown(id: str) -> UnknownConversation:
    return UnknownConversation(f"There is no conversation with the id {quoted(id)}.")


def unknown_item(id: str) -> UnknownItem:
    return UnknownItem(f"There is no item with the id {quoted(id)} in this conversation.")


def live(owner: UUID, id: str) -> QuerySet[StoredConversation]:
    """The one conversation of `owner` with this id, unless it is deleted."""
    found = StoredConversation.objects.filter(LIVE, owner=owner, conversation_id=id)
    return found if is_id(id) else found.none()


def _row(owner: UUID, id: str) -> StoredConversation:
    for row in live(owner, id):
        return row
    raise unknown(id)


def _value(row: StoredConversation) -> Conversation:
    metadata = msgspec.json.decode(row.metadata)
    return Conversation(row.conversation_id, metadata, int(row.created.timestamp()))


def _metadata(metadata: Mapping[str, str]) -> str:
    return as_text(msgspec.json.encode(metadata))


def create(
    owner: UUID, id: str, metadata: Mapping[str, str], items: Sequence[bytes]
) -> Conversation:
    """Once more with the same id is the same as once."""
    with transaction.atomic():
        if not live(owner, id).exists():
            StoredConversation.objects.create(
                owner=owner, conversation_id=id, metadata=_metadata(metadata)
            )
            add(owner, id, items)
        return _value(_row(owner, id))


def read(owner: UUID, id: str) -> Conversation:
    """Raises UnknownConversation."""
    return _value(_row(owner, id))


def update(owner: UUID, id: str, metadata: Mapping[str, str]) -> Conversation:
    """Raises UnknownConversation."""
    live(owner, id).update(metadata=_metadata(metadata))
    return read(owner, id)


def delete(owner: UUID, id: str) -> None:
    """Hide it; retention removes the rows. Raises UnknownConversation."""
    if not live(owner, id).update(removable=Now()):
        raise unknown(id)


def length(owner: UUID, id: str | None) -> int | None:
    """The position that its next item gets; None where there is no such conversation."""
    if id is None:
        return None
    return live(owner, id).values_list("next_position", flat=True).first()


def follow(owner: UUID, id: str | None, items: Sequence[bytes]) -> None:
    """Add what a response brought. An item whose id is there is not added again."""
    with transaction.atomic():
        for row in live(owner, id).select_for_update() if id is not None else ():
            _append(row, items)


def add(owner: UUID, id: str, items: Sequence[bytes]) -> None:
    """Raises UnknownConversation; InvalidRequest where another item has the id of one of these."""
    with transaction.atomic():
        for row in live(owner, id).select_for_update():
            _check_ids(row, items)
            _append(row, items)
            return
    raise unknown(id)


def _check_ids(row: StoredConversation, items: Sequence[bytes]) -> None:
    held = _held(row, items)
    for place, item in enumerate(items):
        id = item_id(item)
        if held.setdefault(id, item) != item and id:
            raise InvalidRequest(
                f"Another item of this conversation has the id {quoted(id)}.",
                param=f"items[{place}].id",
            )


def _append(row: StoredConversation, items: Sequence[bytes]) -> None:
    known = dict.fromkeys(_held(row, items), b"")
    new = []
    for item in items:
        id = item_id(item)
        if not id or known.setdefault(id, item) is item:
            new.append(item)
    insert_items(new, row.owner, start=row.next_position, conversation=row)
    StoredConversation.objects.filter(pk=row.pk).update(
        next_position=F("next_position") + len(new), used=Now()
    )


def _held(row: StoredConversation, items: Sequence[bytes]) -> dict[str, bytes]:
    """The items that it has already, of those with the ids of `items`."""
    held = row.items.values_list("item_id", "body")
    found = (held.filter(item_id__in=ids) for ids in batches({*map(item_id, items)} - {""}))
    return {id: body.encode() for rows in found for id, body in rows}


def items_of(owner: UUID, id: str) -> QuerySet[StoredItem]:
    """Raises UnknownConversation."""
    return StoredItem.objects.filter(conversation=_row(owner, id))


def item(owner: UUID, id: str, item_id: str) -> bytes:
    """Raises UnknownConversation, UnknownItem."""
    found = items_of(owner, id).filter(item_id=item_id).values_list("body", flat=True)
    for body in found if is_id(item_id) else ():
        return body.encode()
    raise unknown_item(item_id)


def delete_item(owner: UUID, id: str, item_id: str) -> Conversation:
    """Raises UnknownConversation, UnknownItem."""
    row = _row(owner, id)
    found = row.items.filter(item_id=item_id)
    if not is_id(item_id) or not found.delete()[0]:
        raise unknown_item(item_id)
    return _value(row)


def context(owner: UUID, id: str) -> list[bytes]:
    """Its items, oldest first. Raises UnknownConversation; InvalidRequest where they are too much."""
    items = items_of(owner, id)
    check_context(items, param="conversation")
    return [body.encode() for body in items.order_by("position").values_list("body", flat=True)]
