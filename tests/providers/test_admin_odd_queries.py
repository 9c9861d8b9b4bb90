"""Whoever may only look finds what the pages offer to look for, and nothing else: no odd query is
an error, costs much, or tells a column that no page shows."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from auditlog.models import LogEntry
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

from providers.admin.base import SafeAdmin
from providers.models import Alias, AliasTarget, ApiKey
from tests.providers import odd_queries
from tests.providers.admin_pages import client_with, found, page, probed, provider, said, text

MODELS = sorted(admin.site._registry, key=lambda model: model._meta.label)
NAMES = [model._meta.label for model in MODELS]
VIEWS = tuple(f"view_{model._meta.model_name}" for model in MODELS)


LEADING_ELSEWHERE = ("q", "p")
"""Parameters whose odd values could hide what others do."""
AUTOCOMPLETE = "/admin/autocomplete/?app_label=auth&model_name=user&field_name=groups&"
SITE = (
    *("/admin/?", "/admin/search/?", "/admin/autocomplete/?", "/admin/jsi18n/?", "/admin/login/?"),
    *("/admin/r/1/1/?", "/admin/r/x/y/?", "/admin/providers/?", "/admin/nothing/?"),
    *("/admin/providers/provider/live/?", "/admin/password_change/?", "/admin/first-login/x/?"),
    *(AUTOCOMPLETE, "/admin/search/?s=prov&"),
)


@pytest.fixture
def viewer(db: Any) -> Client:
    """Somebody who may look at everything, and one row of each kind to look at."""
    row = provider(key="upstream-secret-0123456789")
    found(row, "a", "b")
    probed(row)
    alias = Alias.objects.create(name="chat")
    AliasTarget.objects.create(alias=alias, model="a")
    ApiKey.objects.issue("Somebody")
    Group.objects.create(name="Somebody else")
    User.objects.create_user("other", password="a password that nobody has")
    client = client_with(*VIEWS)
    client.raise_request_exception = False
    return client


def list_of(model: type[Model]) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")


def shown(response: Any) -> list[str]:
    return [str(row.pk) for row in response.context["cl"].result_list]


def filters(model: type[Model]) -> list[str]:
    """The parameters by which the list's own links ask for fewer rows."""
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True)
    changes = admin.site._registry[model].get_changelist_instance(request)
    return [str(name) for spec in changes.filter_specs for name in spec.expected_parameters()]


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_every_admin_stands_on_the_one_base(model: type[Model]) -> None:
    assert isinstance(admin.site._registry[model], SafeAdmin)


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_a_field_that_is_no_filter_finds_nothing_and_hides_nothing(
    viewer: Client, model: type[Model]
) -> None:
    all_rows = shown(viewer.get(list_of(model)))
    assert all_rows
    bad = []
    for query in odd_queries.of_fields(model, at_once=60, but=filters(model)):
        answer = viewer.get(f"{list_of(model)}?{query}")
        if answer.status_code != 200 or shown(answer) != all_rows:
            bad.append((answer.status_code, query[:300]))

    assert bad == []


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_no_odd_query_of_a_list_is_an_error(viewer: Client, model: type[Model]) -> None:
    bad = []
    names = (*filters(model), "timestamp__year", "timestamp__month", "timestamp__day")
    for query in [
        *odd_queries.of_known(*names, at_once=30, alone=LEADING_ELSEWHERE),
        *odd_queries.malformed(),
    ]:
        answer = viewer.get(f"{list_of(model)}?{query}")
        if answer.status_code not in {200, 302, 400}:
            bad.append((answer.status_code, query[:300]))

    assert bad == []


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_no_odd_query_of_a_row_is_an_error(viewer: Client, model: type[Model]) -> None:
    pk = shown(viewer.get(list_of(model)))[0]
    bad = []
    for view in ("change", "history"):
        address = f"{list_of(model)}{pk}/{view}/"
        for query in odd_queries.of_known(*odd_queries.names(model, 0), at_once=200):
            answer = viewer.get(f"{address}?{query}")
            if answer.status_code not in {200, 302, 400}:
                bad.append((answer.status_code, view, query[:300]))

    assert bad == []


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_an_address_fills_in_no_form(admin_client: Client, model: type[Model]) -> None:
    names = dict.fromkeys(odd_queries.names(model, 0))
    answer = admin_client.get(f"{list_of(model)}add/?" + urlencode(dict.fromkeys(names, "planted")))

    assert answer.status_code in {200, 403}
    assert "planted" not in text(answer)


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
@pytest.mark.parametrize("page", ["", "change/", "history/", "delete/", "password/", "rotate/"])
def test_the_key_of_no_row_is_no_error(admin_client: Client, model: type[Model], page: str) -> None:
    admin_client.raise_request_exception = False
    keys = [quote(value[:300], safe="") for value in odd_queries.VALUES]
    statuses = {
        (key, admin_client.get(f"{list_of(model)}{key}/{page}").status_code) for key in keys
    }

    assert {each for each in statuses if each[1] not in {200, 301, 302, 400, 403, 404}} == set()


@pytest.mark.parametrize("address", SITE)
def test_no_odd_query_of_another_page_is_an_error(viewer: Client, address: str) -> None:
    bad = []
    for query in [*odd_queries.of_known(at_once=40), *odd_queries.malformed()]:
        answer = viewer.get(f"{address}{query}")
        if answer.status_code >= 500:
            bad.append((answer.status_code, query[:300]))

    assert bad == []


@pytest.mark.parametrize("model", MODELS, ids=NAMES)
def test_an_action_on_what_is_no_row_changes_nothing(
    admin_client: Client, viewer: Client, model: type[Model]
) -> None:
    admin_client.raise_request_exception = False
    changelist = admin_client.get(list_of(model))
    actions = [
        name
        for name, _ in changelist.context["cl"].model_admin.get_action_choices(
            changelist.wsgi_request
        )
    ]
    before = shown(changelist)
    for action in [*actions, "nonsense"]:
        for value in odd_queries.VALUES:
            sent = {
                "action": action,
                "_selected_action": [value, value],
                "index": value[:50],
                "select_across": "0",
            }
            assert admin_client.post(list_of(model), sent).status_code in {200, 302}, (
                action,
                value[:50],
            )

    assert shown(admin_client.get(list_of(model))) == before


def test_a_page_is_saved_as_no_new_row(admin_client: Client, viewer: Client) -> None:
    key = ApiKey.objects.get()
    answer = admin_client.post(page(key), {"name": "Another", "expires": "", "_saveasnew": "1"})

    assert answer.status_code == 403
    assert ApiKey.objects.count() == 1


def test_a_search_is_bounded_in_characters_and_words(viewer: Client) -> None:
    for long in ("x" * 201, "a " * 11):
        answer = viewer.get(list_of(Alias), {"q": long})
        assert shown(answer) == []
        assert "at most 200 characters and 10 words" in said(answer)

    assert shown(viewer.get(list_of(Alias), {"q": "chat"}))
    assert not shown(viewer.get(list_of(Alias), {"q": "chat nothing"}))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("apikey", "digest__regex=([0-9a-f]%2B)%2Bx"),
        ("apikey", "digest__startswith=zz"),
        ("provider", "sealed_api_key__regex=^zz"),
        ("alias", "targets__alias__created__year=1"),
    ],
)
def test_hidden_columns_are_not_read_letter_by_letter(
    viewer: Client, path: str, query: str
) -> None:
    answer = viewer.get(f"/admin/providers/{path}/?{query}")

    assert answer.status_code == 200
    assert len(shown(answer)) == 1


def test_passwords_are_not_read_letter_by_letter(viewer: Client) -> None:
    for query in ("password__startswith=zz", "groups__user__password__startswith=zz"):
        assert len(shown(viewer.get(f"{list_of(User)}?{query}"))) == 2
    for query in ("actor__password__startswith=zz", "additional_data__by__startswith=zz"):
        assert shown(viewer.get(f"{list_of(LogEntry)}?{query}"))
    for query in ("user__password__startswith=zz", "permissions__group__user__password__regex=zz"):
        assert shown(viewer.get(f"{list_of(Group)}?{query}"))


def test_the_filters_that_the_lists_offer_work(viewer: Client) -> None:
    """By their own links, as a person follows them."""
    for model in MODELS:
        changes = viewer.get(list_of(model)).context["cl"]
        for spec in changes.filter_specs:
            for choice in spec.choices(changes):
                answer = viewer.get(list_of(model) + choice["query_string"])
                asked = dict(parse_qsl(choice["query_string"][1:]))
                assert answer.status_code == 200
                assert asked == dict(answer.wsgi_request.GET.items())
