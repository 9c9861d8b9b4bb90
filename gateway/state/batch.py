"""Many responses, written in one transaction. Blocking: this runs on a thread of `lane`.

A batch costs as many statements as one response does, so a database that is milliseconds away takes
as many a second as one beside Aurora.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db import DataError, IntegrityError, connection, transaction
from django.db import Error as DatabaseFailure
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from gateway.errors import GatewayError
from gateway.models import LIVE, StoredItem, StoredResponse
from gateway.state import appending
from gateway.state.lane import named
from gateway.state.responses import DELETED_STAYS
from gateway.state.rows import as_text, batches, item_rows
from gateway.state.values import Copy, is_id, quoted

Key = tuple[UUID, str]
log = logging.getLogger("aurora.state")


@dataclass(frozen=True, slots=True)
class Write:
    """A response to keep. `is_deleted`: its owner has deleted it before it was written."""

    copy: Copy
    is_deleted: bool = False

    @property
    def key(self) -> Key:
        return self.copy.owner, self.copy.id


def write(writes: Sequence[Write]) -> list[str]:
    """Keep all of these, oldest first. Why each one cannot be kept; "" for what is kept.

    Writing one again changes nothing, even if it was deleted meanwhile. One that the database cannot
    hold costs none of the others. Raises a database failure that would meet any batch.
    """
    try:
        return _in_one_transaction(writes)
    except DatabaseFailure as error:
        if not isinstance(error, DataError | IntegrityError):
            raise
        return _in_halves(writes, error)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are written
        return _in_halves(writes, error)


def _in_halves(writes: Sequence[Write], error: Exception) -> list[str]:
    middle = len(writes) // 2
    if middle:
        return [*write(writes[:middle]), *write(writes[middle:])]
    return [_alone(writes[0], error)]


def _alone(one: Write, error: Exception) -> str:
    """Why `one` cannot be kept. Another process may have written the same row at the same moment:
    it is looked for once more."""
    if isinstance(error, IntegrityError):
        try:
            return _in_one_transaction([one])[0]
        except IntegrityError as again:
            error = again
    if isinstance(error, GatewayError):
        return str(error)
    if isinstance(error, DatabaseFailure):
        return named(error)
    log.error("a response could not be written", exc_info=error)
    return type(error).__name__


def _in_one_transaction(writes: Sequence[Write]) -> list[str]:
    _have_commits_synced()
    with transaction.atomic():
        reasons = _of_those_there(writes)
        _insert([each.copy for each in writes if each.key not in reasons], reasons)
        _hide([each.copy for each in writes if each.is_deleted and not reasons[each.key]])
    return [reasons[each.key] for each in writes]


def _have_commits_synced() -> None:
    """Until the system crashes, SQLite's own setting keeps every commit; for a batch one sync is
    cheap, and what is committed is taken out of the spool."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA synchronous=FULL")


def _of_those_there(writes: Sequence[Write]) -> dict[Key, str]:
    """By the keys of those that are there: "" for the same response, else why this one is lost."""
    bodies = {each.key: each.copy.body for each in writes}
    reasons: dict[Key, str] = {}
    fields = ("owner", "response_id", "removable", "body")
    for row in _rows_with(bodies).order_by("pk").values_list(*fields):
        key, is_same = (row[0], row[1]), row[3].encode() == bodies.get((row[0], row[1]))
        if is_same:
            reasons[key] = ""
        elif key in bodies and row[2] is None:
            reasons[key] = f"A response with the id {quoted(row[1])} is kept already."
    return reasons


def _rows_with(keys: Collection[Key]) -> QuerySet[StoredResponse]:
    """The rows with these ids, and perhaps others: ids of one owner that another has as well."""
    owners, ids = {owner for owner, _ in keys}, {id for _, id in keys}
    return StoredResponse.objects.filter(owner__in=owners, response_id__in=ids)


def _hide(copies: Sequence[Copy]) -> None:
    for copy in copies:
        mine = StoredResponse.objects.filter(LIVE, owner=copy.owner, response_id=copy.id)
        mine.update(removable=Now() + DELETED_STAYS)


def _insert(copies: Sequence[Copy], reasons: dict[Key, str]) -> None:
    """Rows for these and their items, and their turns in their conversations. What continues a
    response that is gone is lost."""
    made: dict[Key, int] = {}
    earlier, turns = _continued(copies), appending.locked(copies)
    items: list[StoredItem] = []
    left = copies
    while left:
        ready, left = _with_their_earlier(left, made, earlier, reasons)
        rows = []
        for copy, previous in ready:  # each turn begins where the one before it has ended
            rows.append(_row(copy, previous, turns.length(copy)))
            items += turns.append(copy)
        for (copy, _), row in zip(ready, StoredResponse.objects.bulk_create(rows), strict=True):
            made[copy.owner, copy.id] = row.pk
            reasons[copy.owner, copy.id] = ""
            items += _items(copy, row)
    for rows_of_items in batches(items):
        StoredItem.objects.bulk_create(rows_of_items)
    turns.save()


def _with_their_earlier(
    copies: Sequence[Copy],
    made: Mapping[Key, int],
    earlier: Mapping[Key, int],
    reasons: dict[Key, str],
) -> tuple[list[tuple[Copy, int | None]], list[Copy]]:
    """Those whose row can be made now, with the key of the row that each continues; and those that
    continue one of these. Each pass is shorter than the last: the first of `copies` never waits."""
    ready: list[tuple[Copy, int | None]] = []
    later: list[Copy] = []
    coming: set[Key] = set()
    for copy in copies:
        previous = None if copy.previous is None else (copy.owner, copy.previous)
        if previous in coming:
            later.append(copy)
        elif previous is None or previous in made or previous in earlier:
            ready.append((copy, previous and (made.get(previous) or earlier[previous])))
        else:
            reasons[copy.owner, copy.id] = (
                f"There is no response with the id {quoted(previous[1])}."
            )
            continue
        coming.add((copy.owner, copy.id))
    return ready, later


def _continued(copies: Sequence[Copy]) -> dict[Key, int]:
    """The rows that these continue: the one with the id, or the last deleted one that is whole.

    Locked, so that retention does not remove one before it is linked to; and in one order.
    """
    sought = {(copy.owner, copy.previous or "") for copy in copies if is_id(copy.previous or "")}
    if not sought:
        return {}
    whole = _rows_with(sought).filter(LIVE | Q(removable__gt=Now())).order_by("pk")
    locked = whole.select_for_update(no_key=True)
    found: dict[Key, tuple[bool, int]] = {}
    for owner, id, removable, pk in locked.values_list("owner", "response_id", "removable", "pk"):
        found[owner, id] = max(found.get((owner, id), (False, 0)), (removable is None, pk))
    return {key: pk for key, (_, pk) in found.items()}


def _row(copy: Copy, previous: int | None, position: int | None) -> StoredResponse:
    return StoredResponse(
        owner=copy.owner,
        response_id=copy.id,
        body=as_text(copy.body),
        status=copy.status,
        previous_id=previous,
        conversation_id=copy.conversation or "",
        conversation_position=position,
        background=copy.background,
    )


def _items(copy: Copy, row: StoredResponse) -> list[StoredItem]:
    start = len(copy.items)
    return [
        *item_rows(copy.items, copy.owner, response=row),
        *item_rows(copy.output, copy.owner, start=start, response=row, is_output=True),
    ]
