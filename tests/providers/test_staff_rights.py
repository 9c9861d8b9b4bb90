"""Staff who may change users and groups come by no more than they have, by none of the pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from providers.models import ApiKey
from tests.providers.admin_pages import client_with, said, text

pytestmark = pytest.mark.django_db
USERS, GROUPS = "/admin/auth/user/", "/admin/auth/group/"
PASSWORD, NEW_PASSWORD = "a-long-password-1", "another-long-password-2"
OF_PEOPLE = tuple(f"{verb}_{model}" for verb in ("view", "add", "change", "delete")
                  for model in ("user", "group"))  # fmt: skip
HAS = (*OF_PEOPLE, "view_provider", "change_provider")
"""What the member of staff has; neither keys nor superuser status."""


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


def group(name: str, *codenames: str) -> Group:
    made = Group.objects.create(name=name)
    made.permissions.set(Permission.objects.filter(codename__in=codenames))
    return made


def user(name: str, *codenames: str, **fields: Any) -> User:
    made = User.objects.create_user(name, password=PASSWORD, is_staff=True, **fields)
    made.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return made


@pytest.fixture
def staff() -> Client:
    return client_with(*HAS)


def edit(client: Client, who: User, **changes: Any) -> Any:
    """What the form of a user sends, with these changes."""
    held = {
        "username": who.username,
        "is_active": "on",
        "is_staff": "on",
        "groups": list(who.groups.values_list("pk", flat=True)),
        "user_permissions": list(who.user_permissions.values_list("pk", flat=True)),
        "date_joined_0": "2026-01-01",
        "date_joined_1": "00:00:00",
    }
    return client.post(f"{USERS}{who.pk}/change/", held | changes)


def rights(who: User) -> tuple[bool, set[str]]:
    fresh = User.objects.get(pk=who.pk)
    return fresh.is_superuser, fresh.get_all_permissions()


@pytest.mark.parametrize("which", ["himself", "another"])
def test_nobody_makes_himself_or_another_a_superuser(staff: Client, which: str) -> None:
    who = User.objects.get(username="staff") if which == "himself" else user("other")
    before = rights(who)

    edit(staff, who, is_superuser="on")

    assert rights(who) == before
    assert 'name="is_superuser"' not in text(staff.get(f"{USERS}{who.pk}/change/"))


@pytest.mark.parametrize("which", ["himself", "another"])
def test_nobody_grants_a_permission_that_he_has_not(staff: Client, which: str) -> None:
    who = User.objects.get(username="staff") if which == "himself" else user("other")
    before, keys = rights(who), permission("add_apikey")

    answer = edit(staff, who, user_permissions=[keys.pk])

    assert answer.context["adminform"].form.errors["user_permissions"]
    assert rights(who) == before
    shown = text(staff.get(f"{USERS}{who.pk}/change/"))
    assert f'<option value="{keys.pk}"' not in shown
    assert f'<option value="{permission("view_provider").pk}"' in shown


def test_what_one_has_one_may_grant(staff: Client) -> None:
    other, servers = user("other"), group("Servers", "view_provider")

    edit(staff, other, user_permissions=[permission("change_provider").pk], groups=[servers.pk])

    assert rights(other) == (False, {"providers.view_provider", "providers.change_provider"})


def test_what_one_has_by_a_group_one_may_grant_too() -> None:
    giver, other = user("giver", "change_user", "view_user"), user("other")
    giver.groups.add(group("Servers", "view_provider"))
    client = Client()
    client.force_login(giver)

    edit(client, other, user_permissions=[permission("view_provider").pk])

    assert rights(other) == (False, {"providers.view_provider"})


def test_nobody_is_put_into_a_group_that_gives_more(staff: Client) -> None:
    other, keys = user("other"), group("Keys", "view_provider", "add_apikey")

    answer = edit(staff, other, groups=[keys.pk])

    assert answer.context["adminform"].form.errors["groups"]
    assert not other.groups.exists()


GREATER = {
    "a superuser": lambda: user("greater", is_superuser=True),
    "one who is not active": lambda: user("greater", is_superuser=True, is_active=False),
    "one with another permission": lambda: user("greater", "view_apikey"),
    "one of another group": lambda: _in_group(user("greater"), group("Keys", "view_apikey")),
}


def _in_group(who: User, of: Group) -> User:
    who.groups.add(of)
    return who


@pytest.mark.parametrize("make", GREATER.values(), ids=GREATER)
def test_an_account_that_has_more_is_neither_changed_nor_taken_nor_deleted(
    staff: Client, make: Any
) -> None:
    who = make()
    page, typed = f"{USERS}{who.pk}", {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}

    assert edit(staff, who, username="mine").status_code == 403
    for method in (staff.get, staff.post):
        answer = method(f"{page}/password/", typed | {"usable_password": "true"})
        assert answer.status_code == 403
    assert staff.post(f"{page}/delete/", {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [who.pk], "post": "yes"}
    assert staff.post(USERS, chosen).status_code == 403

    after = User.objects.get(pk=who.pk)
    assert (after.username, after.is_active) == ("greater", who.is_active)
    assert after.check_password(PASSWORD)
    assert staff.get(f"{page}/change/").status_code == 200  # to look at


def test_the_password_of_one_who_has_no_more_may_be_set(staff: Client) -> None:
    other = user("other", "view_provider")
    typed = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD, "usable_password": "true"}

    staff.post(f"{USERS}{other.pk}/password/", typed | {"set-password": "yes"})

    assert User.objects.get(pk=other.pk).check_password(NEW_PASSWORD)


def test_no_group_comes_to_give_more(staff: Client) -> None:
    own, keys = group("Own", "view_provider"), permission("add_apikey")
    User.objects.get(username="staff").groups.add(own)

    changed = staff.post(f"{GROUPS}{own.pk}/change/", {"name": "Own", "permissions": [keys.pk]})
    added = staff.post(f"{GROUPS}add/", {"name": "New", "permissions": [keys.pk]})

    for answer in (changed, added):
        assert answer.context["adminform"].form.errors["permissions"]
    assert not Group.objects.filter(permissions=keys, name__in=["Own", "New"]).exists()
    servers = permission("change_provider")
    staff.post(f"{GROUPS}{own.pk}/change/", {"name": "Own", "permissions": [servers.pk]})
    assert list(own.permissions.all()) == [servers]


def test_a_group_that_gives_more_is_not_theirs_to_change(staff: Client) -> None:
    keys = group("Keys", "add_apikey")

    assert staff.post(f"{GROUPS}{keys.pk}/change/", {"name": "Mine"}).status_code == 403
    assert staff.post(f"{GROUPS}{keys.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Group.objects.get(pk=keys.pk).permissions.count() == 1


@pytest.mark.parametrize(
    "codename", ["issue_manager_apikey", "issue_master_apikey", "take_over_stored_apikey"]
)
def test_rights_over_keys_are_granted_by_those_alone_who_have_them(codename: str) -> None:
    giver, other = client_with("view_user", "change_user", "add_apikey"), user("other")

    edit(giver, other, user_permissions=[permission(codename).pk])
    assert rights(other) == (False, set())

    User.objects.get(username="staff").user_permissions.add(permission(codename))
    edit(giver, other, user_permissions=[permission(codename).pk])
    assert rights(other) == (False, {f"providers.{codename}"})


def test_a_superuser_grants_everything(admin_client: Client) -> None:
    other = user("other")

    edit(admin_client, other, is_superuser="on", user_permissions=[permission("add_apikey").pk])

    assert rights(other)[0]
    assert other.user_permissions.count() == 1


def test_to_add_keys_alone_leads_nowhere_else() -> None:
    """By the way that once led to everything: a key, and with it the management API."""
    client = client_with("add_apikey")
    id = "33333333-3333-4333-8333-333333333333"

    client.post("/admin/providers/apikey/add/", {"id": id, "name": "mine", "kind": "master"})
    answer = client.post("/admin/providers/apikey/add/", {"id": id, "name": "mine"})

    key = ApiKey.objects.get()
    assert key.kind == "client"
    secret = answer.context["secret"]
    refused = Client().get("/api/keys", headers={"authorization": f"Bearer {secret}"})
    assert refused.status_code == 403


def test_a_new_account_has_nothing(staff: Client) -> None:
    typed = {"username": "new", "password1": PASSWORD, "password2": PASSWORD}
    more = {"is_superuser": "on", "is_staff": "on", "usable_password": "true"}

    answer = staff.post(f"{USERS}add/", typed | more, follow=True)

    assert "added successfully" in said(answer)
    assert rights(User.objects.get(username="new")) == (False, set())
