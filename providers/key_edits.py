"""Many keys rotated or revoked at once: all of them, or, where one does not allow it, none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction

from providers.models import ApiKey

MOST_KEYS = 500


@dataclass(frozen=True, slots=True)
class Rotation:
    """A key, its successor, and the successor's secret, which is nowhere else."""

    old: ApiKey
    successor: ApiKey
    secret: str = field(repr=False)


@transaction.atomic
def rotate_all(ids: Iterable[UUID], overlap: timedelta) -> list[Rotation]:
    """Rotate the keys, in the order of `ids`. Each successor lives as long as its predecessor was to.

    Raises ValidationError if one cannot be rotated, and ApiKey.DoesNotExist.
    """
    return [_rotation(key, overlap) for key in _locked(ids)]


@transaction.atomic
def revoke_all(ids: Iterable[UUID]) -> list[ApiKey]:
    """Revoke the keys, in the order of `ids`; those that are revoked already stay as they are.

    Raises ApiKey.DoesNotExist.
    """
    keys = _locked(ids)
    for key in keys:
        if not key.revoked:
            key.revoke()
    return keys


def _rotation(key: ApiKey, overlap: timedelta) -> Rotation:
    if key.state != "active":
        raise ValidationError(f"{key} is {key.state}: it cannot be rotated. Nothing was changed.")
    return Rotation(key, *key.rotate(overlap))


def _locked(ids: Iterable[UUID]) -> list[ApiKey]:
    """Locked in one order, so that two who have chosen the same keys do not wait for each other."""
    wanted = list(ids)
    rows = ApiKey.objects.select_for_update().filter(pk__in=wanted).order_by("pk")
    held = {key.pk: key for key in rows}
    if missing := [id for id in wanted if id not in held]:
        raise ApiKey.DoesNotExist(f"There is no key {missing[0]}.")
    return [held[id] for id in wanted]
