"""The turns that a batch of responses adds to their conversations. Blocking, within a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models.functions import Now

from gateway.models import LIVE, StoredConversation, StoredItem
from gateway.state.rows import batches, item_row
from gateway.state.values import Copy, is_id, item_id

Key = tuple[UUID, str]


@dataclass(slots=True)
class _Growing:
    """A conversation: its row, and the ids of the items that it has already."""

    row: StoredConversation
    known: set[str] = field(default_factory=set)


class Turns:
    """The conversations of one batch. What is appended is written by the caller, and by `save`."""

    def __init__(self, growing: dict[Key, _Growing]) -> None:
        self._growing = growing

    def length(self, copy: Copy) -> int | None:
        """The position that the next item of its conversation gets; None where there is none."""
        found = self._of(copy)
        return None if found is None else found.row.next_position

    def append(self, copy: Copy) -> Iterator[StoredItem]:
        """Rows for its items and output, behind what is there. An item whose id is there is not
        added again."""
        found = self._of(copy)
        if found is None:
            return
        for item in (*copy.items, *copy.output):
            id = item_id(item)
            if id and id in found.known:
                continue
            found.known.add(id)
            yield item_row(item, found.row.next_position, copy.owner, {"conversation": found.row})
            found.row.next_position += 1

    def save(self) -> None:
        rows = [each.row for each in self._growing.values()]
        for row in rows:
            row.used = Now()
        StoredConversation.objects.bulk_update(rows, ["next_position", "used"])

    def _of(self, copy: Copy) -> _Growing | None:
        return self._growing.get((copy.owner, copy.conversation or ""))


def locked(copies: Sequence[Copy]) -> Turns:
    """The conversations of these that are there, locked in one order, so that no two batches wait
    for each other."""
    sought = {
        (copy.owner, copy.conversation or "") for copy in copies if is_id(copy.conversation or "")
    }
    if not sought:
        return Turns({})
    found = StoredConversation.objects.filter(
        LIVE,
        owner__in={owner for owner, _ in sought},
        conversation_id__in={id for _, id in sought},
    )
    rows = found.order_by("pk").select_for_update()
    growing = {(row.owner, row.conversation_id): _Growing(row) for row in rows}
    _note_known({each.row.pk: each for each in growing.values()}, copies)
    return Turns(growing)


def _note_known(growing: dict[int, _Growing], copies: Sequence[Copy]) -> None:
    with_turns = [copy for copy in copies if copy.conversation]
    ids = {item_id(item) for copy in with_turns for item in (*copy.items, *copy.output)} - {""}
    for some in batches(ids):
        held = StoredItem.objects.filter(conversation__in=growing, item_id__in=some)
        for conversation, id in held.values_list("conversation", "item_id"):
            growing[conversation].known.add(id)
