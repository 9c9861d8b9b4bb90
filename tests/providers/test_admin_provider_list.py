"""The list of providers tells at a glance how each is doing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from providers.admin import health
from tests.providers.admin_pages import LIST, client_with, found, provider, text

pytestmark = pytest.mark.django_db


def row(client: Client, name: str) -> str:
    """The list's row of one provider."""
    rows = [part.split("</tr>")[0] for part in text(client.get(LIST)).split("<tr")]
    [row] = [row for row in rows if f">{name}</a>" in row]
    return row


def test_a_server_that_answered_is_healthy_with_its_models_counted(admin_client: Client) -> None:
    found(provider(), "a", "b", "c")

    assert "healthy" in row(admin_client, "vllm")
    assert "asked 1" in row(admin_client, "vllm")
    assert 'data-label="Models">3</td>' in row(admin_client, "vllm")


def test_a_server_that_failed_is_unreachable_with_its_error_and_last_known_models(
    admin_client: Client,
) -> None:
    error = "Cannot be reached: " + 30 * "far away, "
    found(provider(), "a", error=error, answered=timezone.now() - timedelta(hours=3))

    shown = row(admin_client, "vllm")

    assert "unreachable" in shown
    assert "last answered 3\xa0hours ago" in shown
    assert f'title="{error}"' in shown
    assert shown.count(error) == 1  # the cell itself has it shortened
    assert "…" in shown
    assert 'data-label="Models">1</td>' in shown


def test_a_server_that_never_answered_says_so(admin_client: Client) -> None:
    found(provider(), error="No answer within 10 s.", answered=None)

    assert "has never answered" in row(admin_client, "vllm")


def test_a_server_that_was_not_asked_says_so(admin_client: Client) -> None:
    provider()

    assert "not asked yet" in row(admin_client, "vllm")


def test_a_disabled_server_is_neither_healthy_nor_failing(admin_client: Client) -> None:
    found(provider(enabled=False), error="No answer within 10 s.")

    shown = row(admin_client, "vllm")

    assert "disabled" in shown
    assert "unreachable" not in shown
    assert "No answer" not in shown


def test_an_allowlist_is_what_is_counted(admin_client: Client) -> None:
    found(provider(models_mode="allowlist", model_ids=["a", "z"]), "a", "b", "c")

    assert 'data-label="Models">2</td>' in row(admin_client, "vllm")


def test_a_row_tells_where_it_came_from_and_whether_it_was_edited(admin_client: Client) -> None:
    provider("one", source="env")
    provider("two", source="yaml", detached=timezone.now())

    assert "environment" in row(admin_client, "one")
    assert "edited here" not in row(admin_client, "one")
    assert "YAML file" in row(admin_client, "two")
    assert "edited here" in row(admin_client, "two")


def test_the_list_makes_as_many_queries_for_25_providers_as_for_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    found(provider("vllm"), "a")
    queries = _queries(admin_client, django_assert_max_num_queries)
    for number in range(24):
        made = provider(f"vllm-{number}", source="env")
        if number % 2:
            found(made, "a", "b", error="No answer within 10 s.")

    assert _queries(admin_client, django_assert_max_num_queries) == queries


def _queries(client: Client, counted: Any) -> int:
    with counted(40) as context:
        assert client.get(LIST).status_code == 200
    return len(context)


@pytest.mark.parametrize("kind", [kind for kind, _ in health.CHOICES])
def test_each_health_filter_finds_the_rows_with_that_health(
    admin_client: Client, kind: str
) -> None:
    found(provider("healthy"), "a")
    found(provider("unreachable"), error="No answer within 10 s.")
    provider("unasked")
    found(provider("unasked-too"), asked=None, answered=None)
    found(provider("disabled", enabled=False), "a")

    listed = admin_client.get(LIST, {"health": kind}).context["cl"].result_list

    assert {health.of(row).kind for row in listed} == {kind}
    assert len(listed) == (2 if kind == "unasked" else 1)


def test_the_search_finds_names_and_addresses(admin_client: Client) -> None:
    provider("one", base_url="http://gpu-7:8000")
    provider("two")

    def names(query: str) -> list[str]:
        return [row.name for row in admin_client.get(LIST, {"q": query}).context["cl"].result_list]

    assert names("gpu-7") == ["one"]
    assert names("two") == ["two"]
    assert names("nothing") == []


def test_enabling_and_disabling_goes_through_save(admin_client: Client) -> None:
    one, two = provider("one", source="env"), provider("two")
    chosen = {"_selected_action": [one.pk, two.pk]}

    admin_client.post(LIST, {"action": "disable", **chosen})
    one.refresh_from_db()
    two.refresh_from_db()

    assert (one.enabled, two.enabled) == (False, False)
    assert one.detached
    assert two.detached is None


def test_who_may_only_look_cannot_switch_providers_off() -> None:
    one = provider("one")

    client_with("view_provider").post(LIST, {"action": "disable", "_selected_action": [one.pk]})

    one.refresh_from_db()
    assert one.enabled


def test_the_list_is_not_for_those_without_permission() -> None:
    assert client_with("view_apikey").get(LIST).status_code == 403
    assert Client().get(LIST).status_code == 302
