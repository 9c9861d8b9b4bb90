"""Viewer, Operator and Key manager: each sees and does what it may, and nothing else."""

from __future__ import annotations

import re
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from providers import roles
from providers.models import Alias, ApiKey, Provider, Role
from tests.providers.admin_pages import KEYS, page, provider, text, values
from tests.providers.api_client import Api

pytestmark = pytest.mark.django_db
ALIASES = "/admin/providers/alias/"
PROVIDERS = "/admin/providers/provider/"
HISTORY = "/admin/auditlog/logentry/"
VIEWER, OPERATOR, MANAGER = "Viewer", "Operator", "Key manager"
NAMES = (VIEWER, OPERATOR, MANAGER)
PAGES = [
    ("GET", "/admin/", {VIEWER, OPERATOR, MANAGER}),
    ("GET", PROVIDERS, {VIEWER, OPERATOR}),
    ("GET", f"{PROVIDERS}add/", {OPERATOR}),
    ("GET", f"{PROVIDERS}add-several/", {OPERATOR}),
    ("POST", f"{PROVIDERS}add-several/", {OPERATOR}),
    ("GET", "{provider}change/", {VIEWER, OPERATOR}),
    ("GET", "{provider}history/", {VIEWER, OPERATOR}),
    ("GET", "{provider}delete/", {OPERATOR}),
    ("POST", "{provider}change/", {OPERATOR}),
    ("POST", "{provider}drain/", {OPERATOR}),
    ("POST", "{provider}take-calls/", {OPERATOR}),
    ("POST", "{provider}refresh/", {OPERATOR}),
    ("POST", "{provider}follow/", {OPERATOR}),
    ("POST", "{provider}clone/", {OPERATOR}),
    ("POST", "{provider}test/", {OPERATOR}),
    ("GET", ALIASES, {VIEWER, OPERATOR}),
    ("GET", f"{ALIASES}add/", {OPERATOR}),
    ("GET", "{alias}change/", {VIEWER, OPERATOR}),
    ("GET", "{alias}history/", {VIEWER, OPERATOR}),
    ("GET", "{alias}delete/", {OPERATOR}),
    ("GET", KEYS, {VIEWER, OPERATOR, MANAGER}),
    ("GET", f"{KEYS}add/", {MANAGER}),
    ("GET", "{key}change/", {VIEWER, OPERATOR, MANAGER}),
    ("GET", "{key}history/", {VIEWER, OPERATOR, MANAGER}),
    ("GET", "{key}rotate/", {MANAGER}),
    ("GET", "{key}revoke/", {MANAGER}),
    ("GET", "{key}delete/", set[str]()),
    ("POST", "{key}change/", {MANAGER}),
    ("POST", f"{KEYS}rotate-selected/", {MANAGER}),
    ("POST", f"{KEYS}revoke-selected/", {MANAGER}),
    ("GET", HISTORY, {VIEWER, OPERATOR}),
    ("GET", "{entry}", {VIEWER, OPERATOR}),
    ("GET", "/admin/auth/user/", set[str]()),
    ("GET", "/admin/auth/user/add/", set[str]()),
    ("GET", "/admin/auth/group/", set[str]()),
    ("GET", "/admin/auth/group/add/", set[str]()),
]
ACTIONS = [
    (PROVIDERS, ["enable", "disable", "drain", "take_calls", "delete_selected"], {OPERATOR}),
    (ALIASES, ["delete_selected"], {OPERATOR}),
    (KEYS, ["rotate_selected", "revoke_selected"], {MANAGER}),
]
ROUTES = [
    ("GET", "/api/providers", None, {VIEWER, OPERATOR}),
    ("DELETE", "/api/providers/vllm", None, {OPERATOR}),
    ("GET", "/api/aliases", None, {VIEWER, OPERATOR}),
    ("DELETE", "/api/aliases/chat", None, {OPERATOR}),
    ("GET", "/api/keys", None, {VIEWER, OPERATOR, MANAGER}),
    ("POST", "/api/keys", {"name": "new"}, {MANAGER}),
]


@pytest.fixture
def rows() -> dict[str, Any]:
    """The beginnings of the addresses of one row each."""
    key, _ = ApiKey.objects.issue("Chat UI")
    server, alias = provider(), Alias.objects.create(name="chat")
    alias.targets.create(model="m")
    entry = LogEntry.objects.get_for_object(server).first()
    return {
        "provider": page(server).removesuffix("change/"),
        "key": page(key).removesuffix("change/"),
        "alias": reverse("admin:providers_alias_change", args=[alias.pk]).removesuffix("change/"),
        "entry": reverse("admin:auditlog_logentry_change", args=[entry.pk]),
    }


def person(role: str) -> Client:
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("role", NAMES)
def test_each_role_opens_the_pages_that_it_may_use_and_no_others(
    rows: dict[str, Any], role: str
) -> None:
    client = person(role)

    for method, address, allowed in PAGES:
        answer = client.generic(method, address.format(**rows))
        assert (answer.status_code != 403) == (role in allowed), (method, address)


@pytest.mark.parametrize("role", NAMES)
def test_each_role_is_offered_the_actions_that_it_may_use_and_no_others(
    rows: dict[str, Any], role: str
) -> None:
    client = person(role)

    for address, actions, allowed in ACTIONS:
        shown = text(client.get(address))
        for action in actions:
            assert (f'<option value="{action}"' in shown) == (role in allowed), action


@pytest.mark.parametrize("role", NAMES)
def test_each_role_is_led_only_to_pages_that_it_may_open(rows: dict[str, Any], role: str) -> None:
    client = person(role)
    seen = [address.format(**rows) for method, address, allowed in PAGES
            if method == "GET" and role in allowed]  # fmt: skip

    for address in seen:
        for link in set(re.findall(r'href="(/admin/[^"?#]+)', text(client.get(address)))):
            if "logout" not in link:
                assert client.get(link).status_code != 403, (address, link)


@pytest.mark.parametrize("role", NAMES)
def test_the_management_api_takes_from_each_role_what_the_admin_does(
    rows: dict[str, Any], role: str
) -> None:
    api = Api(client=person(role))

    for method, path, body, allowed in ROUTES:
        assert (api.call(method, path, body).status_code < 300) == (role in allowed), path


def test_an_operator_adds_a_server_and_an_alias_and_removes_them(rows: dict[str, Any]) -> None:
    client = person(OPERATOR)
    client.post(f"{PROVIDERS}add/", values(name="new"))

    made = Provider.objects.get(name="new")
    client.post(page(made, "delete"), {"post": "yes"})

    assert not Provider.objects.filter(name="new").exists()


def test_a_new_release_gives_a_role_what_is_new_in_it_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    viewer = Group.objects.get(name=VIEWER)
    viewer.permissions.remove(Permission.objects.get(codename="view_apikey"))
    own = Group.objects.create(name="Own")
    new = "auth.view_group"
    monkeypatch.setitem(roles.ROLES, VIEWER, (*roles.VIEWER, new))

    call_command("migrate", verbosity=0)
    call_command("migrate", verbosity=0)

    held = set(viewer.permissions.values_list("codename", flat=True))
    assert held == {"view_provider", "view_alias", "view_aliastarget", "view_logentry"} | {
        "view_group"
    }
    assert not own.permissions.exists()


def test_a_role_that_somebody_renamed_or_deleted_stays_so() -> None:
    Group.objects.filter(name=VIEWER).update(name="Zuschauer")
    Group.objects.get(name=OPERATOR).delete()

    call_command("migrate", verbosity=0)

    assert set(Group.objects.values_list("name", flat=True)) == {"Zuschauer", MANAGER}


def test_a_group_of_somebody_s_own_gets_no_rights_for_its_name() -> None:
    Role.objects.all().delete()
    Group.objects.all().delete()
    own = Group.objects.create(name=VIEWER)

    roles.establish(apps)

    assert not own.permissions.exists()
    assert set(Group.objects.values_list("name", flat=True)) == {
        VIEWER,
        "Viewer (Aurora)",
        OPERATOR,
        MANAGER,
    }
    assert Group.objects.get(name="Viewer (Aurora)").permissions.count() == len(roles.VIEWER)


def test_every_permission_of_a_role_exists() -> None:
    for name, permissions in roles.ROLES.items():
        held = Group.objects.get(name=name).permissions.select_related("content_type")
        assert {f"{p.content_type.app_label}.{p.codename}" for p in held} == set(permissions)


def test_whoever_adds_a_page_decides_which_role_may_use_it() -> None:
    """A model of the admin is in a role, or for superusers alone."""
    of_roles = {label.split("_", 1)[1] for label in roles.OPERATOR + roles.KEY_MANAGER}
    superusers_alone = {"user", "group"}

    pages = {model._meta.model_name for model in admin.site._registry}

    assert pages <= of_roles | superusers_alone
