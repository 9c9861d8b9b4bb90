"""Responses and their items as rows. Blocking: these run on a thread of `lane`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Max, Q, QuerySet, Sum
from django.db.models.functions import Now

from gateway.errors import InvalidRequest, UnknownConversation, UnknownResponse
from gateway.models import LIVE, StoredItem, StoredResponse
from gateway.state import conversations
from gateway.state.pages import MOST_CONTEXT_LINKS, check_context
from gateway.state.rows import as_text, batches, insert_items
from gateway.state.values import RUNNING, Copy, Kept, is_id, quoted

DELETED_STAYS = timedelta(hours=1)
"""A call that was continuing it when it was deleted can still be linked to it for so long."""
_CHAIN = """
    WITH RECURSIVE chain(id, previous_id, depth) AS (
        SELECT id, previous_id, 0 FROM gateway_storedresponse WHERE id = %s
        UNION ALL
        SELECT earlier.id, earlier.previous_id, chain.depth + 1
        FROM gateway_storedresponse earlier JOIN chain ON earlier.id = chain.previous_id
        WHERE chain.depth < %s
    )
    SELECT id FROM chain ORDER BY depth DESC
"""


def unknown(id: str) -> UnknownResponse:
    return UnknownResponse(f"There is no response with the id {quoted(id)}.")


def live(owner: UUID, id: str) -> QuerySet[StoredResponse]:
    """The one response of `owner` with this id, unless it is deleted."""
    found = StoredResponse.objects.filter(LIVE, owner=owner, response_id=id)
    return found if is_id(id) else found.none()


def read(owner: UUID, id: str) -> Kept:
    """Raises UnknownResponse."""
    for row in live(owner, id):
        return Kept(row.response_id, row.body.encode(), row.status, row.background)
    raise unknown(id)


def is_there(copy: Copy) -> bool:
    for row in live(copy.owner, copy.id):
        if row.body.encode() != copy.body:
            raise InvalidRequest(f"A response with the id {quoted(copy.id)} is kept already.")
        return True
    return False


def insert(copy: Copy, **fields: Any) -> StoredResponse:
    """A row for `copy`, and rows for its input. Raises UnknownResponse where `previous` is gone."""
    row = StoredResponse.objects.create(
        owner=copy.owner,
        response_id=copy.id,
        body=as_text(copy.body),
        status=copy.status,
        previous=_continued(copy),
        conversation_id=copy.conversation or "",
        conversation_position=conversations.length(copy.owner, copy.conversation),
        background=copy.background,
        **fields,
    )
    insert_items(copy.items, copy.owner, response=row)
    return row


def complete(row: StoredResponse, copy: Copy) -> None:
    """Add its output to `row`, and all its items to its conversation, if that is still there."""
    start = len(copy.items)
    insert_items(copy.output, copy.owner, start=start, response=row, is_output=True)
    conversations.follow(copy.owner, copy.conversation, (*copy.items, *copy.output))


def _continued(copy: Copy) -> StoredResponse | None:
    if copy.previous is None:
        return None
    # Locked, so that retention does not remove it before this one is linked to it.
    found = _latest(
        copy.owner, copy.previous, StoredResponse.objects.select_for_update(no_key=True)
    )
    if found is None:
        raise unknown(copy.previous)
    return found


def _latest(owner: UUID, id: str, among: QuerySet[StoredResponse]) -> StoredResponse | None:
    """The one with this id; if there are only deleted ones, the last that is still whole."""
    whole = LIVE | Q(removable__gt=Now())
    found = among.filter(whole, owner=owner, response_id=id).only("id", "removable")
    rows = list(found.order_by("-id")[:100]) if is_id(id) else []
    return next((row for row in rows if row.removable is None), rows[0] if rows else None)


def delete(owner: UUID, id: str) -> None:
    """Hide it. The row stays while others continue from it. Raises UnknownResponse."""
    if not live(owner, id).update(removable=Now() + DELETED_STAYS, lease_until=None):
        raise unknown(id)


def context(owner: UUID, id: str) -> list[bytes]:
    """The items of the chain that ends with this response, oldest first, deleted links as well.

    Raises UnknownResponse; InvalidRequest where it is not finished or the chain is too long.
    """
    end = live(owner, id).only("id", "status").first()
    if end is None:
        raise unknown(id)
    if end.status in RUNNING:
        raise InvalidRequest(
            f"The response {quoted(id)} is not finished yet.", param="previous_response_id"
        )
    found = _chain_items(owner, end.pk)
    if not live(owner, id).filter(pk=end.pk).exists():
        raise unknown(id)  # removed meanwhile, and perhaps some of its items with it
    return found


def context_through(owner: UUID, id: str) -> list[bytes]:
    """As `context`, of a response that another one continues: it may be deleted by now."""
    end = _latest(owner, id, StoredResponse.objects.all())
    if end is None:
        raise unknown(id)
    return _chain_items(owner, end.pk)


def _chain_items(owner: UUID, end: int) -> list[bytes]:
    with connection.cursor() as cursor:
        cursor.execute(_CHAIN, [end, MOST_CONTEXT_LINKS])
        chain = [pk for (pk,) in cursor.fetchall()]
    if len(chain) > MOST_CONTEXT_LINKS:
        raise InvalidRequest(
            f"More than {MOST_CONTEXT_LINKS} responses continue each other here.",
            param="previous_response_id",
        )
    before = _began_with(owner, chain[0])
    items = StoredItem.objects.filter(response__in=chain)
    check_context(before, items, param="previous_response_id")
    places = {pk: place for place, pk in enumerate(chain)}
    rows = items.values_list("response", "position", "body")
    bodies = before.order_by("position").values_list("body", flat=True)
    ordered = sorted(rows, key=lambda row: (places[row[0]], row[1]))
    return [body.encode() for body in (*bodies, *(row[2] for row in ordered))]


def _began_with(owner: UUID, first: int) -> QuerySet[StoredItem]:
    """What stood in the conversation that the first of a chain was made in, before it."""
    row = StoredResponse.objects.only("conversation_id", "conversation_position").get(pk=first)
    if not row.conversation_id:
        return StoredItem.objects.none()
    for held in conversations.live(owner, row.conversation_id):
        if row.conversation_position is not None:
            return held.items.filter(position__lt=row.conversation_position)
    raise UnknownConversation(
        "The conversation that this response was made in is deleted: it cannot be continued.",
        param="previous_response_id",
    )


def items(owner: UUID, ids: Sequence[str]) -> dict[str, bytes]:
    """The newest item with each of these ids. Those that are not there are absent."""
    visible = Q(response__removable=None, conversation__removable=None)
    mine = StoredItem.objects.filter(visible, owner=owner)
    newest = mine.values("item_id").annotate(newest=Max("pk")).values_list("newest", flat=True)
    pks = [pk for some in batches(ids) for pk in newest.filter(item_id__in=some)]
    chosen = [StoredItem.objects.filter(pk__in=some) for some in batches(pks)]
    check_context(*chosen, param="input")
    pairs = (pair for found in chosen for pair in found.values_list("item_id", "body"))
    return {id: body.encode() for id, body in pairs}


def stored_bytes(owners: Sequence[UUID]) -> dict[UUID, int]:
    """The sizes of all items of each of these owners, of responses and conversations, in sum."""
    found = StoredItem.objects.filter(owner__in=owners).values("owner")
    sums = found.annotate(size=Sum("size_bytes")).values_list("owner", "size")
    return dict(sums)


def input_of(owner: UUID, id: str) -> QuerySet[StoredItem]:
    """The input items of its own request. Raises UnknownResponse."""
    for row in live(owner, id).only("id"):
        return StoredItem.objects.filter(response=row, is_output=False)
    raise unknown(id)
