"""What a member of staff may hand out: never more than he has himself.

An account or group that has more than somebody is not his to edit: whoever may set a password can
log in with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group, Permission, User
from django.db.models import Q, QuerySet


@dataclass(frozen=True, slots=True)
class Held:
    """What an account or group gives to whoever uses it."""

    permissions: frozenset[int]
    """Ids. A superuser has all, whatever these are."""
    is_superuser: bool = False

    def covers(self, other: Held) -> bool:
        """Whether nothing of `other` is more than this."""
        if self.is_superuser:
            return True
        return not other.is_superuser and other.permissions <= self.permissions


def of_user(user: User) -> Held:
    """What `user` has, or would have if the account were active. One query."""
    rows = Permission.objects.filter(Q(user=user) | Q(group__user=user))
    return Held(frozenset(rows.values_list("pk", flat=True)), user.is_superuser)


def of_group(group: Group) -> Held:
    return Held(frozenset(group.permissions.values_list("pk", flat=True)))


def permissions(held: Held, rows: QuerySet[Permission]) -> QuerySet[Permission]:
    """Those of `rows` that whoever has `held` may hand out."""
    return rows if held.is_superuser else rows.filter(pk__in=held.permissions)


def groups(held: Held, rows: QuerySet[Group]) -> QuerySet[Group]:
    """The same of groups: those that give nothing beyond `held`."""
    if held.is_superuser:
        return rows
    beyond = Permission.objects.exclude(pk__in=held.permissions)
    return rows.exclude(pk__in=Group.objects.filter(permissions__in=beyond))
