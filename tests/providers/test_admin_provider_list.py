"""The list of providers tells at a glance how each is doing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.utils import timezone

from providers.health import Standing
from tests.providers.admin_pages import (
    LIST,
    client_with,
    found,
    page,
    probed,
    process,
    provider,
    report,
    said,
    text,
)

pytestmark = pytest.mark.django_db


def row(client: Client, name: str) -> str:
    """The list's row of one provider."""
    rows = [part.split("</tr>")[0] for part in text(client.get(LIST)).split("<tr")]
    [row] = [row for row in rows if f">{name}</a>" in row]
    return row


def test_a_server_that_probes_find_well_is_healthy_with_its_load_and_models(
    admin_client: Client,
) -> None:
    found(row_of := provider(), "a", "b", "c")
    held = probed(row_of, running=5, waiting=2)
    process(report(row_of, in_flight=3))
    process(report(row_of, in_flight=4))

    shown = row(admin_client, "vllm")

    assert "healthy" in shown
    assert f"since {held.since:%Y-%m-%d %H:%M} UTC" in shown
    assert "7 in flight" in shown
    assert "server: 5 running, 2 waiting" in shown
    assert 'data-label="Models">3</td>' in shown


def test_a_server_that_fails_tells_why_with_its_last_error_and_last_known_models(
    admin_client: Client,
) -> None:
    error = "Cannot be reached: " + 30 * "far away, "
    found(made := provider(), "a", error=error, answered=timezone.now() - timedelta(hours=3))
    probed(made, "unhealthy", "Three probes failed: refused.")

    shown = row(admin_client, "vllm")

    assert "unhealthy" in shown
    assert "Three probes failed: refused." in shown
    assert "last answered 3\xa0hours ago" in shown
    assert f'title="{error}"' in shown
    assert shown.count(error) == 1  # the cell itself has it shortened
    assert "…" in shown
    assert 'data-label="Models">1</td>' in shown


def test_a_server_that_never_answered_says_so(admin_client: Client) -> None:
    found(provider(), error="No answer within 10 s.", answered=None)

    assert "has never answered" in row(admin_client, "vllm")


def test_a_server_that_was_not_probed_says_so(admin_client: Client) -> None:
    provider()

    assert "unknown" in row(admin_client, "vllm")
    assert "Not probed yet." in row(admin_client, "vllm")
    assert "load not known" in row(admin_client, "vllm")


@pytest.mark.parametrize("state", ["unhealthy", "misconfigured", "healthy"])
def test_a_server_that_never_told_its_load_is_not_said_to_run_nothing(
    admin_client: Client, state: str
) -> None:
    probed(provider(), state, load_known=False)

    assert "load not known" in row(admin_client, "vllm")
    assert "0 running" not in row(admin_client, "vllm")


def test_where_nobody_looks_the_list_says_so(admin_client: Client) -> None:
    probed(provider(), seconds_ago=60, running=5)

    assert "No recent probe" in row(admin_client, "vllm")
    assert "running" not in row(admin_client, "vllm")


def test_a_disabled_server_is_neither_healthy_nor_failing(admin_client: Client) -> None:
    found(made := provider(enabled=False), error="No answer within 10 s.")
    probed(made, "unhealthy")

    shown = row(admin_client, "vllm")

    assert "disabled" in shown
    assert "unhealthy" not in shown
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


GONE = {"env": "2026-11-30T12:00:00+00:00"}


def test_a_row_that_its_source_no_longer_names_is_flagged_and_found(admin_client: Client) -> None:
    provider("one", source="env", unnamed=GONE)
    provider("two", source="env")

    shown = row(admin_client, "one")
    assert "no longer named" in shown
    assert "at the start of 2026-11-30 12:00 UTC the environment did not name it. It stays" in shown
    assert "no longer named" not in row(admin_client, "two")
    filtered = admin_client.get(f"{LIST}?named=no").content.decode()
    assert (">one<" in filtered, ">two<" in filtered) == (True, False)


def test_deleting_one_that_is_not_named_warns_of_no_return(admin_client: Client) -> None:
    gone, there = provider("one", source="env", unnamed=GONE), provider("two", source="env")

    pages = [
        admin_client.post(page(each, "delete"), {"post": "yes"}, follow=True).content.decode()
        for each in (gone, there)
    ]

    assert ["still in the environment" in text for text in pages] == [False, True]


def test_the_list_makes_as_many_queries_for_25_providers_as_for_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    found(provider("vllm"), "a")
    queries = _queries(admin_client, django_assert_max_num_queries)
    for number in range(24):
        made = provider(f"vllm-{number}", source="env")
        process(report(made, in_flight=1))
        if number % 2:
            found(made, "a", "b", error="No answer within 10 s.")
            probed(made)

    assert _queries(admin_client, django_assert_max_num_queries) == queries


def _queries(client: Client, counted: Any) -> int:
    with counted(40) as context:
        assert client.get(LIST).status_code == 200
    return len(context)


@pytest.mark.parametrize("standing", list(Standing))
def test_each_health_filter_finds_the_rows_with_that_health(
    admin_client: Client, standing: str
) -> None:
    for state in ("healthy", "degraded", "unhealthy", "misconfigured"):
        probed(provider(state), state)
    provider("unknown")
    probed(provider("disabled", enabled=False))
    probed(provider("draining", draining=True))

    listed = admin_client.get(LIST, {"health": standing}).context["cl"].result_list

    assert [row.name for row in listed] == [standing]


def test_a_breaker_that_is_open_is_found_by_the_filter(admin_client: Client) -> None:
    probed(made := provider())
    probed(provider("other"))
    process(report(made, state="open", reason="refused"))

    listed = admin_client.get(LIST, {"health": "unhealthy"}).context["cl"].result_list

    assert [row.name for row in listed] == ["vllm"]


def test_filtering_takes_as_many_queries_for_many_as_for_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(40) as counted:
            assert admin_client.get(LIST, {"health": "healthy"}).status_code == 200
        return len(counted)

    probed(provider())
    with_one = queries()
    for number in range(20):
        probed(provider(f"vllm-{number}"))

    assert queries() == with_one


def test_a_health_that_there_is_none_of_filters_nothing(admin_client: Client) -> None:
    provider()

    assert len(admin_client.get(LIST, {"health": "nonsense"}).context["cl"].result_list) == 1


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


def test_draining_and_taking_calls_again_are_edits(admin_client: Client) -> None:
    one, two = provider("one", source="env"), provider("two", source="env", draining=True)
    chosen = {"_selected_action": [one.pk, two.pk]}

    answer = admin_client.post(LIST, {"action": "drain", **chosen}, follow=True)
    one.refresh_from_db()
    two.refresh_from_db()

    assert "Draining: 1." in said(answer)
    assert (one.draining, two.draining) == (True, True)
    assert one.detached
    assert two.detached is None  # it was so already
    newest = LogEntry.objects.get_for_object(one).latest("id")
    assert newest.changes["draining"] == ["False", "True"]

    admin_client.post(LIST, {"action": "take_calls", **chosen})
    one.refresh_from_db()
    two.refresh_from_db()
    assert (one.draining, two.draining) == (False, False)


@pytest.mark.parametrize("action", ["disable", "drain"])
def test_who_may_only_look_cannot_switch_providers_off(action: str) -> None:
    one = provider("one")

    client_with("view_provider").post(LIST, {"action": action, "_selected_action": [one.pk]})

    one.refresh_from_db()
    assert (one.enabled, one.draining) == (True, False)


def test_the_list_is_not_for_those_without_permission() -> None:
    assert client_with("view_apikey").get(LIST).status_code == 403
    assert Client().get(LIST).status_code == 302
