"""Users, groups and logins in the history: who let whom in, and who came."""

from __future__ import annotations

from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import Group, User
from django.test import Client

from providers import login_history
from tests.providers.admin_pages import HISTORY, client_with, provider, text

pytestmark = pytest.mark.django_db
USERS = "/admin/auth/user/"
PASSWORD = "a-long-password-1"


def history(client: Client, **filters: str) -> list[tuple[str, str, str, str]]:
    """What the list shows: who, what, kind and name, the newest first."""
    answer = client.get(HISTORY, filters)
    shown = answer.context["cl"].model_admin
    rows = answer.context["cl"].result_list
    return [(shown.who(e), shown.what(e), shown.kind(e), shown.name(e)) for e in rows]


def log_in(name: str = "eve", password: str = PASSWORD) -> Client:
    client = Client(REMOTE_ADDR="192.0.2.7")
    client.post("/admin/login/", {"username": name, "password": password})
    return client


def edited(client: Client, user: User, **changes: Any) -> None:
    sent = {"username": user.username, "is_active": "on", "is_staff": "on"} | changes
    dates = {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    assert client.post(f"{USERS}{user.pk}/change/", sent | dates).status_code == 302


@pytest.fixture
def eve() -> User:
    return User.objects.create_user("eve", password=PASSWORD, is_staff=True)


def test_a_user_is_made_changed_and_deleted_in_the_history(admin_client: Client) -> None:
    typed = {"username": "eve", "password1": PASSWORD, "password2": PASSWORD}
    admin_client.post(f"{USERS}add/", typed | {"usable_password": "true"})
    eve = User.objects.get(username="eve")
    edited(admin_client, eve, first_name="Eve")
    shown = text(admin_client.get(f"{USERS}{eve.pk}/history/"))
    admin_client.post(f"{USERS}{eve.pk}/delete/", {"post": "yes"})

    found = history(admin_client, kind="user")[:3]

    assert found == [("admin", what, "user", "eve") for what in ("deleted", "changed", "added")]
    assert "first name" in shown
    assert "Nothing is recorded" not in shown


def test_who_joins_and_leaves_a_group_is_in_the_history(admin_client: Client, eve: User) -> None:
    viewer = Group.objects.get(name="Viewer")
    edited(admin_client, eve, groups=[viewer.pk])
    joined = LogEntry.objects.get_for_object(eve).first()
    edited(admin_client, eve)
    left = LogEntry.objects.get_for_object(eve).first()

    pages = [text(admin_client.get(f"{HISTORY}{e.pk}/change/")) for e in (joined, left)]

    assert ["groups" in page and "Viewer" in page for page in pages] == [True, True]
    assert joined.changes_dict["groups"]["operation"] == "add"
    assert left.changes_dict["groups"]["operation"] == "delete"


def test_what_a_group_may_do_is_in_the_history(admin_client: Client) -> None:
    group = Group.objects.get(name="Viewer")
    admin_client.post(f"/admin/auth/group/{group.pk}/change/", {"name": "Viewer"})

    entry = LogEntry.objects.get_for_object(group).first()

    assert "permissions" in entry.changes_dict
    assert "Can view alias" in text(admin_client.get(f"{HISTORY}{entry.pk}/change/"))


def test_a_new_password_is_told_and_no_hash_of_one_is(admin_client: Client, eve: User) -> None:
    first = eve.password
    second = {"password1": "another-password-2", "password2": "another-password-2"}
    admin_client.post(f"{USERS}{eve.pk}/password/", second | {"usable_password": "true"})
    eve.refresh_from_db()

    entry = LogEntry.objects.get_for_object(eve).first()

    assert entry.changes_dict == {"password": ["(set)", "(set)"]}
    assert "(another)" in text(admin_client.get(f"{HISTORY}{entry.pk}/change/"))
    written = str([vars(entry) for entry in LogEntry.objects.all()])
    assert first not in written
    assert eve.password not in written


def test_logins_and_logouts_are_told_with_the_address(admin_client: Client, eve: User) -> None:
    client = log_in()
    client.post("/admin/logout/")

    found = history(admin_client, kind="login")[:2]

    assert found == [("eve", what, "login", "eve") for what in ("logged out", "logged in")]
    latest = LogEntry.objects.filter(
        additional_data__event=login_history.LOGGED_IN, actor=eve
    ).get()
    assert "192.0.2.7" in text(admin_client.get(f"{HISTORY}{latest.pk}/change/"))
    assert "eve logged in" in " ".join(
        text(admin_client.get(f"{USERS}{eve.pk}/history/")).replace("</span>", "").split()
    ).replace('<span class="font-semibold text-important">', "")


def test_a_failed_login_is_told_with_its_name_cut_and_its_address(admin_client: Client) -> None:
    log_in("x" * 200, "wrong")

    assert history(admin_client, kind="login")[0] == (
        "somebody", "failed to log in", "login", "x" * 40,
    )  # fmt: skip
    entry = login_history.failures().get()
    assert entry.changes_dict == {"address": ["None", "192.0.2.7"]}
    assert "wrong" not in str(vars(entry))


def test_an_address_that_a_header_claims_is_not_believed(db: None) -> None:
    sent = {"username": "eve", "password": "wrong"}
    Client(REMOTE_ADDR="192.0.2.7").post(
        "/admin/login/", sent, headers={"x-forwarded-for": "203.0.113.9"}
    )

    assert login_history.failures().get().changes_dict["address"][1] == "192.0.2.7"


def test_only_the_newest_failures_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_history, "MOST_FAILURES", 3)
    for number in range(5):
        login_history.record(login_history.FAILED, f"name-{number}", "")
    login_history.record(login_history.LOGGED_IN, "eve", "", User.objects.create_user("eve"))

    kept = login_history.failures().values_list("object_repr", flat=True)

    assert sorted(kept) == ["name-2", "name-3", "name-4"]
    assert LogEntry.objects.filter(additional_data__event=login_history.LOGGED_IN).exists()


def test_logins_are_no_latest_changes(admin_client: Client, eve: User) -> None:
    log_in("mallory", "wrong")

    entries = admin_client.get("/admin/").context["overview"]["entries"]

    assert [(who, what) for _, who, what, _ in entries] == [("Aurora", "added")] * 2
    assert "mallory" not in text(admin_client.get("/admin/"))


def test_who_may_not_see_users_sees_nothing_of_them_in_the_history(eve: User) -> None:
    provider()
    entry = LogEntry.objects.get_for_object(eve).first()
    client = client_with("view_logentry", "view_provider")

    assert {kind for _, _, kind, _ in history(client)} == {"provider"}
    assert client.get(f"{HISTORY}{entry.pk}/change/").status_code == 302
    entries = client.get("/admin/").context["overview"]["entries"]
    assert {entry.content_type.model for entry, *_ in entries} == {"provider"}
