"""The history: every change with its actor and values; secrets redacted; read-only."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.urls import reverse

from providers.models import ApiKey, Provider
from tests.providers.admin_pages import (
    HISTORY,
    UPSTREAM_KEY,
    client_with,
    found,
    page,
    provider,
    text,
    values,
)

pytestmark = pytest.mark.django_db


def entry_page(entry: LogEntry) -> str:
    return reverse("admin:auditlog_logentry_change", args=[entry.pk])


def latest(row: Provider | ApiKey) -> LogEntry:
    return LogEntry.objects.get_for_object(row).first()


def changes_on(answer: Any) -> list[tuple[str, str, str]]:
    """The rows of the topmost table of an object's history."""
    return [
        (change.field, change.before, change.after)
        for change in answer.context["entries"].__iter__().__next__()[3]
    ]


def test_an_edit_is_recorded_with_its_actor_and_values(admin_client: Client) -> None:
    made = provider()

    admin_client.post(page(made), values(weight="2", model_ids="a\nb", idle_seconds="10"))
    answer = admin_client.get(page(made, "history"))

    assert changes_on(answer) == [
        ("model ids", "", "a, b"),
        ("weight", "1.0", "2.0"),
        ("idle seconds", "300.0", "10.0"),
    ]
    assert "admin" in text(answer)
    assert latest(made).actor.username == "admin"


def test_the_list_leads_through_years_months_and_days(admin_client: Client) -> None:
    made = provider()
    LogEntry.objects.update(timestamp=datetime(2026, 3, 4, 12, tzinfo=UTC))
    admin_client.post(page(made), values(weight="2"))  # of today: so there is a choice of years

    for parts in ("year=2026", "year=2026&month=3", "year=2026&month=3&day=4"):
        query = "&".join(f"timestamp__{part}" for part in parts.split("&"))
        answer = admin_client.get(f"{HISTORY}?{query}")
        assert answer.status_code == 200
        assert "2026-03-04 12:00:00" in text(answer)


def test_what_a_start_up_did_is_aurora_s(admin_client: Client) -> None:
    made = provider(source="env")

    answer = admin_client.get(page(made, "history"))

    assert answer.context["entries"][0][1] == "Aurora"
    assert ("source", "", "env") in changes_on(answer)


@pytest.mark.parametrize(
    ("stored", "sent", "shown"),
    [
        ("", {"new_api_key": UPSTREAM_KEY}, ("API key", "", "(set)")),
        (UPSTREAM_KEY, {"new_api_key": "another-key"}, ("API key", "(set)", "(another)")),
        (UPSTREAM_KEY, {"remove_api_key": "on"}, ("API key", "(set)", "")),
    ],
)
def test_a_change_of_the_key_is_told_without_the_key(
    admin_client: Client, stored: str, sent: dict[str, str], shown: tuple[str, str, str]
) -> None:
    made = provider(key=stored)
    sealed_before = made.sealed_api_key

    admin_client.post(page(made), values(**sent))
    made.refresh_from_db()
    answer = admin_client.get(page(made, "history"))

    assert changes_on(answer) == [shown]
    pages = [text(answer), text(admin_client.get(entry_page(latest(made))))]
    recorded = [str(vars(entry)) for entry in LogEntry.objects.all()]
    secrets = (UPSTREAM_KEY, "another-key", sealed_before, made.sealed_api_key)
    for secret in filter(None, secrets):
        assert all(secret not in where for where in [*pages, *recorded])


def test_a_deleted_provider_stays_in_the_history(admin_client: Client) -> None:
    made = provider(key=UPSTREAM_KEY)
    found(made, "a")

    admin_client.post(page(made, "delete"), {"post": "yes"})

    entry = LogEntry.objects.filter(action=LogEntry.Action.DELETE).get()
    assert entry.object_repr == "vllm"
    assert "deleted" in text(admin_client.get(HISTORY))
    assert "http://gpu-1:8000/v1" in text(admin_client.get(entry_page(entry)))
    assert UPSTREAM_KEY not in str(vars(entry))


def test_issuing_rotating_and_revoking_are_recorded_with_their_actor(
    admin_client: Client,
) -> None:
    held, secret = ApiKey.objects.issue("Chat UI")

    admin_client.post(page(held, "rotate"), {"overlap": "3600"})
    admin_client.post(page(held, "revoke"))
    held.refresh_from_db()

    answer = admin_client.get(page(held, "history"))
    [(_, who, _, _), (_, who_rotated, _, rotated), _] = answer.context["entries"]
    assert (who, who_rotated) == ("admin", "admin")
    assert [field for field, *_ in changes_on(answer)] == ["revoked"]
    assert [change.field for change in rotated] == ["expires", "successor"]
    everything = str([vars(entry) for entry in LogEntry.objects.all()]) + text(answer)
    assert secret not in everything
    assert held.digest not in everything


def test_an_object_s_history_shows_its_own_entries_only(admin_client: Client) -> None:
    one = provider("one")
    provider("two")

    answer = admin_client.get(page(one, "history"))

    assert len(answer.context["entries"]) == 1
    assert "two" not in text(answer)


def test_a_long_history_is_paged(admin_client: Client) -> None:
    made = provider()
    for number in range(60):
        made.idle_seconds = 10 + number
        made.save()

    first = admin_client.get(page(made, "history"))
    second = admin_client.get(page(made, "history"), {"p": 2})

    assert (len(first.context["entries"]), len(second.context["entries"])) == (50, 11)
    assert "?p=2" in text(first)


def test_the_history_can_be_searched_and_filtered(admin_client: Client) -> None:
    made = provider("one")
    ApiKey.objects.issue("Chat UI")
    made.delete()

    def names(**query: str) -> list[str]:
        rows = admin_client.get(HISTORY, query).context["cl"].result_list
        return [row.object_repr.split(" (")[0] for row in rows]

    assert names(kind="apikey") == ["Chat UI"]
    assert names(action__exact=str(LogEntry.Action.DELETE)) == ["one"]
    assert names(q="Chat") == ["Chat UI"]


def test_the_history_list_makes_as_many_queries_for_many_entries_as_for_one(
    admin_client: Client, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(40) as counted:
            assert admin_client.get(HISTORY).status_code == 200
        return len(counted)

    made = provider()
    admin_client.post(page(made), values(idle_seconds="10"))
    with_two = queries()
    for number in range(20):
        admin_client.post(page(made), values(idle_seconds=str(20 + number)))

    assert queries() == with_two


def test_nobody_adds_edits_or_deletes_history(admin_client: Client) -> None:
    entry = latest(provider())

    assert admin_client.get(f"{HISTORY}add/").status_code == 403
    assert admin_client.post(entry_page(entry), {"object_repr": "x"}).status_code == 403
    assert admin_client.post(entry_page(entry).replace("change", "delete")).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [entry.pk], "post": "yes"}
    admin_client.post(HISTORY, chosen)
    assert LogEntry.objects.filter(pk=entry.pk).exists()
    assert 'name="_save"' not in text(admin_client.get(entry_page(entry)))


def test_a_history_needs_the_right_to_view() -> None:
    made = provider()
    client = client_with("view_provider")

    assert client.get(HISTORY).status_code == 403
    assert client.get(page(made, "history")).status_code == 200
    held, _ = ApiKey.objects.issue("Chat UI")
    assert client.get(page(held, "history")).status_code == 403


def test_the_history_of_what_is_gone_leads_back(admin_client: Client) -> None:
    gone = provider()
    address = page(gone, "history")
    gone.delete()

    assert admin_client.get(address).status_code == 302


def test_a_user_who_is_deleted_leaves_the_entries(admin_client: Client, admin_user: Any) -> None:
    made = provider()
    admin_client.post(page(made), values(idle_seconds="10"))
    admin_user.delete()

    assert latest(made).actor is None


@pytest.mark.parametrize(
    ("header", "value"),
    [("X-Forwarded-For", "nonsense"), ("X-Forwarded-Port", "9" * 20)],
)
def test_what_a_client_writes_into_its_headers_fails_no_change(
    admin_client: Client, settings: Any, header: str, value: str
) -> None:
    ours = "providers.admin.actor.ActorMiddleware"
    settings.MIDDLEWARE = [ours if "Auditlog" in each else each for each in settings.MIDDLEWARE]
    made = provider()

    admin_client.post(page(made), values(idle_seconds="10"), headers={header: value})

    entry = latest(made)
    assert entry.actor.username == "admin"
    assert (entry.remote_addr, entry.remote_port) == (None, None)
