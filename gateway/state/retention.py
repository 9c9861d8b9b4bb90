"""What goes, and in which order. Blocking: these run on a thread of `lane`.

An old response is hidden first, then its rows are removed in slices, then itself; and never one
that another continues from, so a chain goes from its young end. Any number of processes may do
this at the same time.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, Model, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from gateway.models import (
    LIVE,
    StoredConversation,
    StoredEvent,
    StoredItem,
    StoredResponse,
)

AT_ONCE = 500
"""Rows in one transaction."""
UNCONTINUED = ~Exists(StoredResponse.objects.filter(previous=OuterRef("pk")))


def batch(days: int) -> bool:
    """One bounded transaction's worth of what is to go. Whether anything was found."""
    return (
        _remove_responses()
        or _remove_conversations()
        or _hide(_old_responses(days), StoredResponse)
        or _hide(_old_conversations(days), StoredConversation)
    )


def _old_responses(days: int) -> QuerySet[Any]:
    old = Q(created__lt=Now() - timedelta(days=days), lease_until=None)
    return StoredResponse.objects.filter(LIVE, old, UNCONTINUED).order_by("created")


def _old_conversations(days: int) -> QuerySet[Any]:
    old = Q(used__lt=Now() - timedelta(days=days))
    return StoredConversation.objects.filter(LIVE, old).order_by("used")


def _hide(found: QuerySet[Any], model: type[Model]) -> bool:
    with transaction.atomic():
        ids = _locked(found)
        return bool(model._default_manager.filter(pk__in=ids).update(removable=Now()))


def _locked(found: QuerySet[Any]) -> list[int]:
    """The ids of the first of these that nobody else is busy with."""
    return [row.pk for row in found.select_for_update(skip_locked=True).only("pk")[:AT_ONCE]]


def _remove_responses() -> bool:
    gone = StoredResponse.objects.filter(UNCONTINUED, removable__lte=Now()).order_by("removable")
    with transaction.atomic():
        # Asked anew: one that continues from it may have come just before it was locked.
        locked = StoredResponse.objects.filter(UNCONTINUED, pk__in=_locked(gone))
        ids = list(locked.values_list("pk", flat=True))
        return (
            _removed(StoredEvent.objects.filter(response__in=ids))
            or _removed(StoredItem.objects.filter(response__in=ids))
            or _removed(StoredResponse.objects.filter(pk__in=ids))
        )


def _remove_conversations() -> bool:
    with transaction.atomic():
        gone = StoredConversation.objects.filter(removable__lte=Now()).order_by("removable")
        ids = _locked(gone)
        return _removed(StoredItem.objects.filter(conversation__in=ids)) or _removed(
            StoredConversation.objects.filter(pk__in=ids)
        )


def _removed(found: QuerySet[Any]) -> bool:
    ids = list(found.values_list("pk", flat=True)[:AT_ONCE])
    return bool(ids and found.model._default_manager.filter(pk__in=ids).delete()[0])
