"""Responses that are generated beside any call, as rows. Blocking: these run on a thread of `lane`.

The process that generates one holds a lease on it and renews it. A row whose lease is over has
nobody: whoever finds it first ends it. Times are the database's, so clocks need not agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Length, Now

from gateway.errors import InvalidRequest
from gateway.models import LIVE, StoredEvent, StoredResponse
from gateway.state import endings, responses
from gateway.state.pages import fitting
from gateway.state.rows import ROWS_AT_ONCE, as_text
from gateway.state.values import RUNNING, Copy, Kept

ENDED_AT_ONCE = 100
MOST_EVENTS = 1000
MOST_EVENTS_BYTES = 2**20

Events = Sequence[tuple[int, bytes]]


def begin(copy: Copy, lease: timedelta) -> None:
    """A row for what is about to be generated. Once more is the same as once.

    Raises InvalidRequest where another with its id is there, UnknownResponse where the one it
    continues is gone.
    """
    with transaction.atomic():
        if not responses.is_there(copy):
            responses.insert(copy, lease_until=Now() + lease)


def beat(
    owner: UUID,
    id: str,
    events: Events,
    lease: timedelta,
    *,
    body: bytes | None,
    status: str | None,
) -> bool:
    """Renew the lease and add what is new. Whether it is to stop: cancelled, deleted, given up."""
    changed = {"body": body and as_text(body), "status": status}
    with transaction.atomic():
        for row in _leased(owner, id).only("id", "cancel_requested"):
            _these(row).update(
                lease_until=Now() + lease,
                **{name: value for name, value in changed.items() if value is not None},
            )
            _add_events(row, events)
            return row.cancel_requested
    return True


def finish(copy: Copy, events: Events) -> bool:
    """False where it was given up before: it stays so. One that is deleted stays deleted."""
    with transaction.atomic():
        for row in _leased(copy.owner, copy.id).only("id"):
            _these(row).update(status=copy.status, body=as_text(copy.body), lease_until=None)
            _add_events(row, events)
            responses.complete(row, copy)
            return True
    held = responses.live(copy.owner, copy.id).values_list("body", flat=True).first()
    return held is None or held.encode() == copy.body


def _leased(owner: UUID, id: str) -> QuerySet[StoredResponse]:
    return responses.live(owner, id).filter(lease_until__isnull=False).select_for_update()


def _these(row: StoredResponse) -> QuerySet[StoredResponse]:
    return StoredResponse.objects.filter(pk=row.pk)


def _add_events(row: StoredResponse, events: Events) -> None:
    rows = [StoredEvent(response=row, sequence_number=number, data=data) for number, data in events]
    StoredEvent.objects.bulk_create(rows, batch_size=ROWS_AT_ONCE, ignore_conflicts=True)


def ask_to_cancel(owner: UUID, id: str) -> Kept:
    """The response as it is then. What nobody generates any more is cancelled at once.

    Raises UnknownResponse; InvalidRequest for one that was not made in the background.
    """
    with transaction.atomic():
        for row in _leased(owner, id):
            _these(row).update(cancel_requested=True)
            _end(row.pk, is_cancelled=True)
    found = responses.read(owner, id)
    if not found.background:
        raise InvalidRequest("Only a response with `background` true can be cancelled.")
    return found


def end_those_left() -> int:
    """End those whose process is gone, some at a time. How many were ended, each exactly once."""
    found = StoredResponse.objects.filter(LIVE, lease_until__lt=Now()).order_by("lease_until")
    pairs = list(found.values_list("pk", "cancel_requested")[:ENDED_AT_ONCE])
    return sum(_end(pk, is_cancelled=is_cancelled) for pk, is_cancelled in pairs)


def _end(pk: int, *, is_cancelled: bool) -> bool:
    """Whether it was ended: not where its lease is renewed, or another process was here first."""
    with transaction.atomic():
        over = StoredResponse.objects.filter(LIVE, pk=pk, lease_until__lt=Now())
        for row in over.select_for_update():
            _finish_left(row, is_cancelled=is_cancelled)
            return True
    return False


def _finish_left(row: StoredResponse, *, is_cancelled: bool) -> None:
    """Its end, and the events that tell a failure; the stream of what is cancelled just ends."""
    held = row.body.encode()
    if is_cancelled:
        status, body, told = "cancelled", endings.cancelled(held), []
    else:
        status, body = "failed", endings.failed(held, endings.stopped())
        last = row.events.aggregate(last=Max("sequence_number"))["last"]
        told = endings.failing(held, body, -1 if last is None else last)
    _these(row).update(status=status, body=body.decode(), lease_until=None)
    _add_events(row, told)


def events(owner: UUID, id: str, after: int, most: int) -> tuple[list[tuple[int, bytes]], bool]:
    """Those with a higher number than `after`, in order; True once there come no more of them.

    At most `most`, and about a MiB, at a time. Raises UnknownResponse.
    """
    for row in responses.live(owner, id).only("id", "status"):  # before the events, not after
        found = row.events.filter(sequence_number__gt=after).order_by("sequence_number")
        asked = max(1, min(most, MOST_EVENTS))
        sizes = list(
            found.annotate(size=Length("data")).values_list("size", flat=True)[: asked + 1]
        )
        count = fitting(sizes[:asked], MOST_EVENTS_BYTES)
        pairs = found.values_list("sequence_number", "data")[:count]
        given = [(number, bytes(data)) for number, data in pairs]
        return given, row.status not in RUNNING and count == len(sizes)
    raise responses.unknown(id)
