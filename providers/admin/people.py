"""Users and groups of the admin, in its style."""

from __future__ import annotations

from functools import partial
from typing import cast

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from providers.admin.editing import edited
from providers.admin.granting import GroupsWithinRights, UsersWithinRights
from providers.admin.history import ObjectHistory
from providers.transactions import locked

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(UsersWithinRights, DjangoUserAdmin, ObjectHistory):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm

    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        return self.editing(super().user_change_password)(request, id, form_url)


@admin.register(Group)
class GroupAdmin(GroupsWithinRights, DjangoGroupAdmin, ObjectHistory):
    pass


def own_password(request: HttpRequest) -> HttpResponse:
    """The page on which somebody sets a password of their own. It writes the whole account, so that
    is read once it is locked: else one that was just disabled would be let in again."""
    return edited(request, partial(_own_password, request))


def _own_password(request: HttpRequest) -> HttpResponse:
    if request.method == "POST" and request.user.is_authenticated:
        request.user = locked(User.objects.filter(pk=request.user.pk)).get()
    page = admin.site.admin_view(admin.site.password_change, cacheable=True)
    return cast(HttpResponse, page(request))
