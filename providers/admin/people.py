"""Users and groups of the admin, in its style."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest, HttpResponse
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from providers.admin.granting import GroupsWithinRights, UsersWithinRights
from providers.admin.history import ObjectHistory

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
