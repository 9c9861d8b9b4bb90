"""Users and groups of the admin, in its style."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Group, User
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


@admin.register(Group)
class GroupAdmin(GroupsWithinRights, DjangoGroupAdmin, ObjectHistory):
    pass
