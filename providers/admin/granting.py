"""Pages of users and groups on which nobody grants, or comes by, more than he has."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.models import Group, User
from django.db import connection, models
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from providers import staff_rights
from providers.staff_rights import Held


class GrantsNoMore(ModelAdmin):
    """Only what has no more than the user himself is his to edit or delete, and only what he has is
    his to give."""

    def held_by(self, found: Any) -> Held:
        """What the user or group of the page has."""
        raise NotImplementedError

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and self._is_within(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and self._is_within(request, obj)

    def get_object(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Locked while it is edited, with what refers to it, such as its groups: it must not come by
        more between the look and the change."""
        found = super().get_object(request, *args, **kwargs)
        if found is not None and request.method == "POST" and connection.in_atomic_block:
            found.refresh_from_db(from_queryset=self.model.objects.select_for_update())
        return found

    def formfield_for_manytomany(
        self, db_field: models.ManyToManyField[Any, Any], request: Any = None, **kwargs: Any
    ) -> Any:
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        held = _held(request)
        if field is not None and not held.is_superuser:
            field.queryset = _within(held, field.queryset)
            field.help_text = (
                f"Only those that give nothing beyond what you have. {field.help_text}"
            )
        return field

    def _is_within(self, request: HttpRequest, found: Any) -> bool:
        if found is None or request.user.is_superuser:
            return True
        return _held(request).covers(self.held_by(found))


class UsersWithinRights(GrantsNoMore):
    """Whoever may change users can give what he has, and never *Superuser status*, to those who have
    no more than he."""

    def held_by(self, found: User) -> Held:
        return staff_rights.of_user(found)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        return fields if request.user.is_superuser else (*fields, "is_superuser")


class GroupsWithinRights(GrantsNoMore):
    """The same of groups, whose members get what they give."""

    def held_by(self, found: Group) -> Held:
        return staff_rights.of_group(found)


def _within(held: Held, rows: QuerySet[Any]) -> QuerySet[Any]:
    if rows.model is Group:
        return staff_rights.groups(held, rows)
    return staff_rights.permissions(held, rows)


def _held(request: HttpRequest) -> Held:
    user = cast(User, request.user)  # the site lets nobody else in
    return Held(frozenset(), True) if user.is_superuser else staff_rights.of_user(user)
