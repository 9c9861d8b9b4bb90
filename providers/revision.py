"""Counts changes, so that every process learns of one by reading one number.

The number grows in the transaction of the change itself: who sees the new number sees the change.
It is one row that every change writes, so it is written last: whoever held it while waiting for
another row would hold up everybody, and two could wait for each other.
On PostgreSQL whoever listens is told of it too, as the transaction commits (`notices`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from django.db import connection
from django.db.models import F
from django.db.models.signals import post_delete, post_save

from providers.models import Alias, AliasTarget, ApiKey, Discovery, Provider, Revision

WATCHED = (Provider, Discovery, ApiKey, Alias, AliasTarget)
CHANNEL = "aurora_revision"
"""Of the database's notifications."""


@dataclass
class _Open:
    """A transaction whose changes are counted at its end."""

    is_changed: bool = False


_open: ContextVar[_Open | None] = ContextVar("open", default=None)


def connect() -> None:
    for model in WATCHED:
        post_save.connect(_changed, sender=model, dispatch_uid=f"revision {model.__name__} saved")
        post_delete.connect(_changed, sender=model, dispatch_uid=f"revision {model.__name__} gone")


def bump() -> None:
    """Count a change that was made past the models, such as by `QuerySet.update`."""
    if not Revision.objects.filter(pk=1).update(number=F("number") + 1):
        Revision.objects.get_or_create(pk=1, defaults={"number": 1})
    _notify()


def current() -> int:
    return Revision.objects.filter(pk=1).values_list("number", flat=True).first() or 0


@contextmanager
def counted_at_the_end() -> Iterator[None]:
    """What is changed within is counted once, as the block ends well: the end of a transaction."""
    if _open.get() is not None:
        yield
        return
    held = _Open()
    token = _open.set(held)
    try:
        yield
    finally:
        _open.reset(token)
    if held.is_changed:
        bump()


def _notify() -> None:
    """However often within a transaction, those who listen are told once."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def _changed(**_: Any) -> None:
    held = _open.get()
    if held is None:
        bump()
    else:
        held.is_changed = True
