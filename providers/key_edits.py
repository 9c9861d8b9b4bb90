"""What is done to callers' keys, whoever does it: one or many; all of them, or none.

Each edit locks the keys that it touches, and the key that acts, in the order of their ids, and only
then asks `providers.key_rights` whether it is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q

from providers import key_rights, transactions
from providers.key_kinds import THAT_MANAGE
from providers.key_rights import NotAllowed, Rights, Subject
from providers.models import ApiKey
from providers.models.keys import SAME_SPAN, SameSpan

MOST_KEYS = 500
LAST = (
    "No manager or master key would be left. Only a person can revoke the last one, in the admin."
)


@dataclass(frozen=True, slots=True)
class Rotation:
    """A key, its successor, and the successor's secret, which is nowhere else."""

    old: ApiKey
    successor: ApiKey
    secret: str = field(repr=False)

    @property
    def keeps_stored(self) -> bool:
        """Whether the successor reads what the old key stored."""
        return self.old.owner == self.successor.owner


@dataclass(frozen=True, slots=True)
class Locked:
    """Keys that nobody else changes until the transaction ends, and what may be done to them."""

    keys: list[ApiKey]
    rights: Rights


@transaction.atomic
def issue(rights: Rights, name: str, *, kind: str, **fields: Any) -> tuple[ApiKey, str]:
    """A new key and its secret. Raises NotAllowed."""
    rights = lock([], rights).rights
    rights.check_issue(kind, fields.get("expires"))
    return ApiKey.objects.issue(name, kind=kind, issued_by_id=rights.key, **fields)


def check_change(
    key: ApiKey, rights: Rights, kind: str, expires: datetime | None
) -> dict[str, UUID]:
    """What else changes with the locked `key` as it gets this kind and expiry: where a key lets
    another one manage, that one ends with it. Raises NotAllowed."""
    rights.check_change(_subject(key), kind, expires)
    comes_to_manage = kind in THAT_MANAGE and not key.may_manage
    return {"issued_by_id": rights.key} if comes_to_manage and rights.key else {}


@transaction.atomic
def rotate_all(
    ids: Iterable[UUID],
    overlap: timedelta,
    rights: Rights,
    expires: datetime | SameSpan | None = SAME_SPAN,
) -> list[Rotation]:
    """Rotate the keys, in the order of `ids`. Each successor lives as long as its predecessor was
    to, or until `expires`.

    Raises ValidationError if one cannot be rotated, NotAllowed, and ApiKey.DoesNotExist.
    """
    held = lock(ids, rights)
    for key in held.keys:
        _check_active(key, among=len(held.keys))
    return [_rotation(key, overlap, held.rights, expires) for key in held.keys]


@transaction.atomic
def revoke_all(ids: Iterable[UUID], rights: Rights) -> list[ApiKey]:
    """Revoke the keys, in the order of `ids`, and the manager and master keys that they made.

    Those that are revoked already stay as they are. Raises NotAllowed and ApiKey.DoesNotExist.
    """
    wanted = list(ids)
    going = [*wanted, *(key.pk for key in made_by(wanted))]
    is_own_end = rights.key in going
    held = lock(going, rights, with_all_managing=is_own_end)
    late = made_by(going)  # before their maker was locked
    for key in [*held.keys, *late]:
        held.rights.check_revoke(_subject(key))
        if not key.revoked:
            key.revoke()
    if (is_own_end or late) and not ApiKey.objects.in_state("managing").exists():
        raise NotAllowed(LAST)
    return held.keys[: len(wanted)]


def made_by(ids: Iterable[UUID]) -> list[ApiKey]:
    """The usable manager and master keys that these keys made over the management API, or that
    those made, and so on; none of `ids`. One query for each step of the longest chain."""
    seen = set(ids)
    makers, found = set(seen), list[ApiKey]()
    while makers:
        rows = ApiKey.objects.filter(issued_by__in=makers, kind__in=THAT_MANAGE)
        fresh = [key for key in rows.order_by("pk") if key.pk not in seen]
        makers = {key.pk for key in fresh}
        seen |= makers
        found += fresh
    return [key for key in found if key.usable]


def lock(ids: Iterable[UUID], rights: Rights, *, with_all_managing: bool = False) -> Locked:
    """The keys, in the order of `ids`, locked in one order, so that two who have chosen the same
    keys do not wait for each other. Must run in a transaction.

    The acting key is locked, too, so that nothing is done for it after it was revoked.
    `with_all_managing` locks every manager and master key: two keys that revoke themselves at once
    would otherwise leave none. Raises NotAllowed and ApiKey.DoesNotExist.
    """
    wanted = list(ids)
    rows = Q(pk__in=[*wanted, *([rights.key] if rights.key else [])])
    if with_all_managing:
        rows |= Q(kind__in=THAT_MANAGE, revoked=None, retired=None)
    held = {key.pk: key for key in _in_order(rows)}
    if rights.key:
        rights = _acting(held.get(rights.key))
    if missing := [id for id in wanted if id not in held]:
        raise ApiKey.DoesNotExist(f"There is no key {missing[0]}.")
    return Locked([held[id] for id in wanted], rights)


def _in_order(rows: Q) -> Iterable[ApiKey]:
    return transactions.locked(ApiKey.objects.filter(rows))


def _acting(key: ApiKey | None) -> Rights:
    """The rights of the acting key as it is now. Raises NotAllowed if it has ended meanwhile."""
    if key is None or not key.usable or not key.may_manage:
        raise NotAllowed("The key of this request was revoked or changed meanwhile.")
    return key_rights.of_key(key.pk, key.kind, key.expires)


def _subject(key: ApiKey) -> Subject:
    return Subject(key.pk, key.kind, key.expires)


def _check_active(key: ApiKey, among: int) -> None:
    if key.state != "active":
        which, rest = (str(key), " Nothing was changed.") if among > 1 else ("This key", "")
        raise ValidationError(f"{which} is {key.state}: it cannot be rotated.{rest}")


def _rotation(
    key: ApiKey, overlap: timedelta, rights: Rights, expires: datetime | SameSpan | None
) -> Rotation:
    until = key.next_expiry if isinstance(expires, SameSpan) else expires
    rights.check_rotate(_subject(key), until)
    successor, secret = key.rotate(
        overlap, expires, keeps_stored=rights.keeps_stored, issued_by=rights.key
    )
    return Rotation(key, successor, secret)
