"""Counts changes, so that every process learns of one by reading one number.

The number grows in the transaction of the change itself: who sees the new number sees the change.
"""

from __future__ import annotations

from typing import Any

from django.db.models import F
from django.db.models.signals import post_delete, post_save

from providers.models import Alias, AliasTarget, ApiKey, Discovery, Provider, Revision

WATCHED = (Provider, Discovery, ApiKey, Alias, AliasTarget)


def connect() -> None:
    for model in WATCHED:
        post_save.connect(_changed, sender=model, dispatch_uid=f"revision {model.__name__} saved")
        post_delete.connect(_changed, sender=model, dispatch_uid=f"revision {model.__name__} gone")


def bump() -> None:
    """Count a change that was made past the models, such as by `QuerySet.update`."""
    if not Revision.objects.filter(pk=1).update(number=F("number") + 1):
        Revision.objects.get_or_create(pk=1, defaults={"number": 1})


def current() -> int:
    return Revision.objects.filter(pk=1).values_list("number", flat=True).first() or 0


def _changed(**_: Any) -> None:
    bump()
