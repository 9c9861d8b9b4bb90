"""The overview, the sidebar, the way in, and the people."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from providers.admin import live
from providers.models import ApiKey, Discovery, Health, Provider
from tests.providers.admin_pages import client_with, found, probed, process, provider, report, text

pytestmark = pytest.mark.django_db


def test_an_empty_installation_is_told_what_to_do_first(admin_client: Client) -> None:
    shown = text(admin_client.get("/admin/"))

    assert "There is no provider yet" in shown
    assert "no usable API key" in shown


def test_the_overview_counts_what_is_there(admin_client: Client) -> None:
    found(one := provider("one"), "a", "b")
    found(two := provider("two"), "c", error="No answer within 10 s.")
    found(provider("off", enabled=False), "d")
    probed(one)
    probed(two, "unhealthy", "Probes fail.")
    ApiKey.objects.issue("Chat UI")
    revoked, _ = ApiKey.objects.issue("Gone")
    revoked.revoke()

    answer = admin_client.get("/admin/")

    overview = answer.context["overview"]
    assert (overview["enabled"], overview["models"]) == (2, 3)
    assert "1 of 2" in overview["healthy"]
    assert "Probes fail." in text(answer)
    assert (overview["api_keys"]["active"], overview["api_keys"]["revoked"]) == (1, 1)
    assert names(answer) == ["two"]
    assert "1 healthy, 1 disabled" in overview["rest"]
    assert "No answer within 10 s." in text(answer)
    assert "There is no provider yet" not in text(answer)
    assert "no usable API key" not in text(answer)
    assert "http://testserver/v1" in text(answer)


def test_keys_are_counted_by_what_they_are(admin_client: Client) -> None:
    """Ten keys, each rotated once, are ten usable keys."""
    for overlap in range(1, 11):
        ApiKey.objects.issue("Chat UI")[0].rotate(timedelta(days=overlap))
    stopped, _ = ApiKey.objects.issue("Rotated without an overlap")
    stopped.rotate(timedelta())
    ApiKey.objects.issue("Expired", expires=timezone.now() - timedelta(days=1))
    ApiKey.objects.issue("Revoked")[0].revoke()
    ApiKey.objects.issue("Retired", retired=timezone.now())
    last = max(key.expires for key in ApiKey.objects.in_state("rotated") if key.expires)

    answer = admin_client.get("/admin/")

    keys = answer.context["overview"]["api_keys"]
    states = ("active", "rotated", "expired", "retired", "revoked")
    assert [keys[state] for state in states] == [11, 10, 2, 1, 1]
    assert keys["usable"] == ApiKey.objects.usable().count() == 21
    assert f"10 in overlap: rotated out, still working, the last until {last:%Y-%m-%d %H:%M}" in (
        text(answer)
    )
    for told in ("2 expired", "1 retired", "1 revoked"):
        assert told in text(answer)


def test_one_key_in_its_overlap_still_answers_calls(admin_client: Client) -> None:
    key, _ = ApiKey.objects.issue("Chat UI")
    successor, _ = key.rotate(timedelta(days=1))
    successor.revoke()

    shown = text(admin_client.get("/admin/"))

    assert f"1 in overlap: rotated out, still working until {key.expires:%Y-%m-%d %H:%M}" in shown
    assert "no usable API key" not in shown


def test_the_overview_shows_the_troubled_servers_worst_first_and_all_on_demand(
    admin_client: Client,
) -> None:
    states = ("degraded", "healthy", "misconfigured", "unhealthy")
    for number, state in enumerate(states):
        probed(provider(f"{number}-{state}"), state)
    provider("4-unknown")
    provider("5-disabled", enabled=False)
    probed(provider("6-draining", draining=True))
    troubled = ["2-misconfigured", "3-unhealthy", "0-degraded", "4-unknown", "6-draining"]

    shown = admin_client.get("/admin/")

    assert names(shown) == troubled
    assert "1 healthy, 1 disabled" in text(shown)
    [link] = re.findall(r'href="([^"]+)">Show all', text(shown))
    every = admin_client.get(link)
    assert names(every) == [*troubled, "1-healthy", "5-disabled"]
    [link] = re.findall(r'href="([^"]+)">Show troubled servers only', text(every))
    assert names(admin_client.get(link)) == troubled


def test_where_nothing_is_wrong_the_overview_says_so(admin_client: Client) -> None:
    for number in range(27):
        probed(provider(f"gpu-{number}"))

    shown = admin_client.get("/admin/")

    assert names(shown) == []
    assert "No server is in trouble: 27 healthy." in " ".join(text(shown).split())


def names(shown: Any) -> list[str]:
    """The servers in the overview's table, in order."""
    return re.findall(r'<a id="server-[^>]+>([^<]+)</a>', text(shown))


def test_only_disabled_providers_are_told_apart_from_none(admin_client: Client) -> None:
    provider(enabled=False)

    assert "Every provider is disabled" in text(admin_client.get("/admin/"))


def test_the_overview_makes_as_many_queries_for_many_rows_as_for_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(40) as counted:
            assert admin_client.get("/admin/").status_code == 200
        return len(counted)

    found(provider(), "a")
    ApiKey.objects.issue("Chat UI")
    with_one = queries()
    many_troubled(240)

    assert queries() == with_one
    assert len(names(admin_client.get("/admin/"))) == live.MOST_ROWS
    assert "41 more are in the" in text(admin_client.get("/admin/"))


def many_troubled(count: int) -> None:
    """So many servers, which all fail, and on which calls run nevertheless."""
    rows = [Provider(name=f"gpu-{number}", base_url="http://gpu/v1") for number in range(count)]
    Provider.objects.bulk_create(rows)
    now = timezone.now()
    Discovery.objects.bulk_create(
        [Discovery(provider=row, cards=[{"id": "a"}], error="No answer.") for row in rows]
    )
    Health.objects.bulk_create(
        [Health(provider=row, state="unhealthy", since=now, checked=now) for row in rows]
    )
    process(*(report(row, in_flight=1) for row in rows))


def test_who_may_see_nothing_is_shown_nothing() -> None:
    found(provider("secret-server"), "a")

    answer = client_with().get("/admin/")

    assert answer.status_code == 200
    assert "secret-server" not in text(answer)
    assert "/admin/providers/" not in text(answer)


def test_the_sidebar_leads_to_every_page(admin_client: Client) -> None:
    shown = text(admin_client.get("/admin/"))

    for path in ("providers/provider", "providers/apikey", "auditlog/logentry", "auth/user"):
        assert f'href="/admin/{path}/"' in shown
        assert admin_client.get(f"/admin/{path}/").status_code == 200


def test_the_login_page_says_aurora_and_asks_for_a_password() -> None:
    shown = text(Client().get("/admin/login/"))

    assert "Aurora" in shown
    assert "Django" not in shown


def test_a_user_is_added_and_given_another_password(admin_client: Client) -> None:
    first, second = "a-long-password-1", "a-long-password-2"
    typed = {"username": "eve", "password1": first, "password2": first, "usable_password": "true"}
    admin_client.post("/admin/auth/user/add/", typed)
    eve = User.objects.get(username="eve")
    assert eve.check_password(first)

    path = f"/admin/auth/user/{eve.pk}/password/"
    assert "unfold" in text(admin_client.get(path))
    typed = {"password1": second, "password2": second, "usable_password": "true"}
    admin_client.post(path, typed)

    eve.refresh_from_db()
    assert eve.check_password(second)
    assert eve.password not in text(admin_client.get(f"/admin/auth/user/{eve.pk}/change/"))


def test_one_may_change_one_s_own_password(admin_client: Client) -> None:
    assert "unfold" in text(admin_client.get("/admin/password_change/"))


def test_groups_can_be_edited(admin_client: Client) -> None:
    admin_client.post("/admin/auth/group/add/", {"name": "Operators"})

    group = Group.objects.get(name="Operators")
    assert "unfold" in text(admin_client.get(f"/admin/auth/group/{group.pk}/change/"))
