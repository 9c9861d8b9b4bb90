"""Kinds of keys in the admin: nobody issues, changes or rotates one beyond what he may."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import Client

from providers.models import ApiKey
from tests.providers.admin_pages import KEYS, client_with, page, said, text

pytestmark = pytest.mark.django_db
ADD = f"{KEYS}add/"
KINDS = ("client", "manager", "master")
ADDS = ("view_apikey", "add_apikey", "change_apikey")
NOT_CARRIED = "are not carried over"


def key(kind: str = "client", **fields: Any) -> ApiKey:
    return ApiKey.objects.issue(f"a {kind} key", kind=kind, **fields)[0]


def issue(client: Client, **fields: str) -> Any:
    return client.post(ADD, {"id": str(uuid4()), "name": "new", **fields})


def offered(client: Client, address: str) -> set[str]:
    """The kinds that a form offers."""
    shown = text(client.get(address))
    return set(re.findall(r'value="(client|manager|master)"', shown))


@pytest.mark.parametrize(
    ("permissions", "kinds"),
    [
        ((), {"client"}),
        (("issue_manager_apikey",), {"client", "manager"}),
        (("issue_master_apikey",), set(KINDS)),
    ],
)
def test_a_person_issues_only_the_kinds_that_he_may(
    permissions: tuple[str, ...], kinds: set[str]
) -> None:
    client = client_with(*ADDS, *permissions)

    assert offered(client, ADD) == kinds
    for kind in KINDS:
        issue(client, kind=kind)
    assert {row.kind for row in ApiKey.objects.all()} == kinds


def test_a_superuser_is_offered_all_kinds_and_a_client_key_first(admin_client: Client) -> None:
    assert offered(admin_client, ADD) == set(KINDS)
    assert admin_client.get(ADD).context["form"]["kind"].value() == "client"

    issue(admin_client)

    assert ApiKey.objects.get().kind == "client"


def test_a_new_manager_key_is_shown_with_what_it_is_for(admin_client: Client) -> None:
    shown = text(issue(admin_client, kind="manager"))

    assert "It is a manager key" in shown
    assert "/api/providers" in shown
    assert "/v1/models" not in shown


def test_the_list_shows_the_kinds_and_is_filtered_by_them(admin_client: Client) -> None:
    for kind in KINDS:
        key(kind)

    listed = admin_client.get(KEYS, {"kind": "manager"}).context["cl"].result_list

    assert [row.kind for row in listed] == ["manager"]
    for odd in ("owner", "a\0b", "'"):  # of no kind: left out
        assert len(admin_client.get(KEYS, {"kind": odd}).context["cl"].result_list) == len(KINDS)


def test_a_key_becomes_another_kind_within_what_its_editor_may(admin_client: Client) -> None:
    held = key("master")
    admin_client.post(page(held), {"name": "an application", "kind": "client", "expires": ""})
    assert ApiKey.objects.get().kind == "client"

    lesser = client_with(*ADDS, "issue_manager_apikey")
    assert offered(lesser, page(held)) == {"client", "manager"}
    lesser.post(page(held), {"name": "taken", "kind": "master", "expires": ""})
    assert (ApiKey.objects.get().kind, ApiKey.objects.get().name) == ("client", "an application")
    lesser.post(page(held), {"name": "a manager", "kind": "manager", "expires": ""})
    assert ApiKey.objects.get().kind == "manager"


@pytest.mark.parametrize("kind", ["manager", "master"])
def test_a_key_of_a_higher_kind_is_looked_at_and_revoked_but_not_changed(kind: str) -> None:
    held, client = key(kind), client_with(*ADDS)
    key("master")

    shown = text(client.get(page(held)))

    assert "may revoke this key, but not change or rotate" in shown
    assert page(held, "rotate") not in shown
    assert client.post(page(held), {"name": "taken", "expires": ""}).status_code == 403
    assert client.post(page(held, "rotate"), {"overlap": "0"}).status_code == 403
    many = client.post(f"{KEYS}rotate-selected/", {"key": [held.pk], "overlap": "0"}, follow=True)
    assert "lacks the permission" in said(many)
    assert ApiKey.objects.count() == 2
    client.post(page(held, "revoke"))
    assert ApiKey.objects.get(pk=held.pk).state == "revoked"


def test_of_many_keys_those_that_one_may_not_rotate_are_left_out() -> None:
    keys = [key("client"), key("master")]

    asked = client_with(*ADDS).post(
        KEYS, {"action": "rotate_selected", "_selected_action": [each.pk for each in keys]}
    )

    assert asked.context["keys"] == keys[:1]
    assert "you may not rotate master keys" in text(asked)


@pytest.mark.parametrize("may", [False, True])
def test_a_rotation_says_before_and_after_whether_what_was_stored_stays(may: bool) -> None:
    client = client_with(*ADDS, *(["take_over_stored_apikey"] if may else []))
    held, many = key(), [key(), key()]
    chosen = {"action": "rotate_selected", "_selected_action": [each.pk for each in many]}

    pages = [
        client.get(page(held, "rotate")),
        client.post(page(held, "rotate"), {"overlap": "3600"}),
        client.post(KEYS, chosen),
        client.post(
            f"{KEYS}rotate-selected/", {"key": [each.pk for each in many], "overlap": "3600"}
        ),
    ]

    assert [NOT_CARRIED in text(each) for each in pages] == [not may] * 4
    for old in [held, *many]:
        assert (ApiKey.objects.get(predecessor=old).owner == old.owner) is may


def test_the_page_that_revokes_names_the_keys_that_end_with_it(admin_client: Client) -> None:
    held = key("manager")
    spare = key("manager", issued_by=held)
    application = key("client", issued_by=held)

    shown = text(admin_client.get(page(held, "revoke")))
    admin_client.post(page(held, "revoke"))

    assert "end with it" in shown
    assert str(spare) in shown
    assert str(application) not in shown
    states = [ApiKey.objects.get(pk=each.pk).state for each in (held, spare, application)]
    assert states == ["revoked", "revoked", "active"]


def test_a_person_may_revoke_the_last_key_that_manages_and_is_told(admin_client: Client) -> None:
    held = key("master")
    key("client")

    assert "the management API will take no key" in text(admin_client.get(page(held, "revoke")))
    admin_client.post(page(held, "revoke"))

    assert ApiKey.objects.get(pk=held.pk).state == "revoked"


def test_whoever_revokes_the_last_of_many_that_manage_is_told(admin_client: Client) -> None:
    managing, application = [key("master"), key("manager")], key()

    def asked(keys: list[ApiKey]) -> str:
        chosen = [each.pk for each in keys]
        sent = {"action": "revoke_selected", "_selected_action": chosen}
        return text(admin_client.post(KEYS, sent))

    assert "the management API will take no key" in asked(managing)
    assert "the management API will take no key" not in asked(managing[:1])
    assert "the management API will take no key" not in asked([application])


def test_the_overview_says_that_nobody_can_call_where_only_manager_keys_are_left(
    admin_client: Client,
) -> None:
    key("manager")
    assert "There is no usable API key" in text(admin_client.get("/admin/"))

    key("client", expires=None)
    assert "There is no usable API key" not in text(admin_client.get("/admin/"))


def test_a_rotation_by_a_person_may_outlive_any_key(admin_client: Client, admin_user: User) -> None:
    held = key("manager", issued_by=key("manager"))
    admin_client.post(page(held, "rotate"), {"overlap": "3600"})

    successor = ApiKey.objects.get(predecessor=held)

    assert successor.issued_by is None
    assert held.created - successor.created < timedelta(0)
