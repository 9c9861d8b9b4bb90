"""The provider form: it explains, it keeps secrets, and an edit detaches a row."""

from __future__ import annotations

from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.admin.models import LogEntry as AdminLogEntry
from django.test import Client
from django.utils import timezone

from aurora_site.keyring import Keyring
from providers import revision
from providers.models import Provider
from tests.providers.admin_pages import (
    LIST,
    UPSTREAM_KEY,
    client_with,
    found,
    page,
    provider,
    said,
    text,
    values,
)

pytestmark = pytest.mark.django_db
ADD = f"{LIST}add/"


def save(client: Client, row: Provider, **changes: Any) -> Any:
    answer = client.post(page(row), values(**changes), follow=True)
    row.refresh_from_db()
    return answer


def test_a_provider_is_added_with_its_address_normalised_and_its_key_sealed(
    admin_client: Client,
) -> None:
    typed = values(base_url="http://GPU-1:8000/", new_api_key=UPSTREAM_KEY, model_ids="a\n\n b \n")
    answer = admin_client.post(ADD, typed, follow=True)

    made = Provider.objects.get()
    assert (made.name, made.source, made.detached) == ("vllm", "admin", None)
    assert made.base_url == "http://GPU-1:8000/v1"
    assert made.model_ids == ["a", "b"]
    assert made.api_key == UPSTREAM_KEY
    assert UPSTREAM_KEY not in text(answer)


def test_the_normalised_address_is_what_the_page_shows(admin_client: Client) -> None:
    made = provider(base_url="http://gpu-1:8000/")

    assert 'value="http://gpu-1:8000/v1"' in text(admin_client.get(page(made)))


def test_no_page_shows_the_stored_key_sealed_or_not(admin_client: Client) -> None:
    made = provider(key=UPSTREAM_KEY)

    for view in ("change", "history", "delete"):
        shown = text(admin_client.get(page(made, view)))
        assert UPSTREAM_KEY not in shown
        assert made.sealed_api_key not in shown
    assert "A key is stored" in text(admin_client.get(page(made)))


def test_who_may_only_look_sees_that_a_key_is_set_and_no_more() -> None:
    made = provider(key=UPSTREAM_KEY)

    shown = text(client_with("view_provider").get(page(made)))

    assert "(set)" in shown
    assert UPSTREAM_KEY not in shown
    assert made.sealed_api_key not in shown
    assert "Test connection" not in shown
    assert "Refresh models" not in shown


def test_an_empty_key_field_keeps_the_stored_key(admin_client: Client) -> None:
    made = provider(key=UPSTREAM_KEY)

    save(admin_client, made, idle_seconds="10")

    assert made.idle_seconds == 10
    assert made.api_key == UPSTREAM_KEY


def test_a_typed_key_replaces_the_stored_one(admin_client: Client) -> None:
    made = provider(key=UPSTREAM_KEY)

    answer = save(admin_client, made, new_api_key="another-key")

    assert made.api_key == "another-key"
    assert "another-key" not in text(answer)


def test_the_stored_key_can_be_removed(admin_client: Client) -> None:
    made = provider(key=UPSTREAM_KEY)

    save(admin_client, made, remove_api_key="on")

    assert made.sealed_api_key == ""


def test_only_a_stored_key_offers_its_removal(admin_client: Client) -> None:
    assert "remove_api_key" not in text(admin_client.get(ADD))
    assert "remove_api_key" not in text(admin_client.get(page(provider())))


def test_typing_and_removing_at_once_is_refused(admin_client: Client) -> None:
    made = provider(key=UPSTREAM_KEY)

    answer = save(admin_client, made, new_api_key="another-key", remove_api_key="on")

    assert "Either type a key or remove the stored one." in text(answer)
    assert made.api_key == UPSTREAM_KEY


@pytest.mark.parametrize("key", ["two words", "line\r\nX-Evil: 1", "schlüssel", "\x00"])
def test_a_key_that_no_header_can_carry_is_refused(admin_client: Client, key: str) -> None:
    answer = admin_client.post(ADD, values(new_api_key=key))

    assert answer.context["adminform"].errors["new_api_key"]
    assert not Provider.objects.exists()


def test_after_an_error_the_typed_key_is_not_echoed(admin_client: Client) -> None:
    answer = admin_client.post(ADD, values(base_url="nonsense", new_api_key=UPSTREAM_KEY))

    assert answer.status_code == 200
    assert "A URL such as" in text(answer)
    assert UPSTREAM_KEY not in text(answer)


def test_after_an_error_the_head_of_the_page_tells_what_is_stored(admin_client: Client) -> None:
    made = provider()
    found(made, "a-model")

    answer = admin_client.post(page(made), values(name="other", base_url="nonsense"))

    assert "vllm/a-model" in text(answer)
    assert "other/a-model" not in text(answer)


def test_a_key_that_cannot_be_opened_is_told_and_can_be_typed_anew(
    admin_client: Client, settings: Any
) -> None:
    made = provider(key=UPSTREAM_KEY)
    _change_keyring(settings, "x" * 32)
    assert "cannot be opened" in text(admin_client.get(page(made)))
    save(admin_client, made, new_api_key="another-key")
    assert made.api_key == "another-key"
    assert "cannot be opened" not in text(admin_client.get(page(made)))


def _change_keyring(settings: Any, secret: str) -> None:
    settings.KEYRING = Keyring((secret,))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "Has Spaces"}, "name"),
        ({"name": "a/b"}, "name"),
        ({"base_url": "ftp://gpu-1"}, "base_url"),
        ({"base_url": "http://user:pass@gpu-1"}, "base_url"),
        ({"models_mode": "allowlist"}, "model_ids"),
        ({"model_ids": "a\na"}, "model_ids"),
        ({"connect_seconds": "0"}, "connect_seconds"),
        ({"idle_seconds": "never"}, "idle_seconds"),
        ({"weight": "0"}, "weight"),
        ({"weight": ""}, "weight"),
        ({"max_concurrency": "0"}, "max_concurrency"),
        ({"max_concurrency": "1.5"}, "max_concurrency"),
        ({"passthrough": "everything"}, "passthrough"),
        ({"translation": "never"}, "translation"),
    ],
)
def test_what_the_model_forbids_is_refused_at_its_field(
    admin_client: Client, changes: dict[str, str], field: str
) -> None:
    answer = admin_client.post(ADD, values(**changes))

    assert list(answer.context["adminform"].errors) == [field]
    assert not Provider.objects.exists()


def test_a_name_is_taken_once(admin_client: Client) -> None:
    provider()

    assert admin_client.post(ADD, values()).context["adminform"].errors["name"]


def test_model_ids_are_edited_one_a_line(admin_client: Client) -> None:
    made = provider(models_mode="allowlist", model_ids=["a/b", "c"])

    assert "a/b\nc</textarea>" in text(admin_client.get(page(made)))

    save(admin_client, made, models_mode="allowlist", model_ids="c\r\nd\r\n")
    assert made.model_ids == ["c", "d"]


def test_the_page_lists_the_models_with_their_longest_context(admin_client: Client) -> None:
    cards = [
        {"id": "org/base", "max_model_len": 131072, "parent": None},
        {"id": "adapter", "max_model_len": {"odd": 1}, "parent": "org/base"},
    ]
    found(made := provider(), cards=cards)

    shown = text(admin_client.get(page(made)))

    assert "2 models" in shown
    assert "vllm/org/base" in shown
    assert "131072 tokens" in shown
    assert "odd" not in shown


@pytest.mark.parametrize(("source", "named"), [("env", "environment"), ("yaml", "YAML file")])
def test_an_edit_detaches_a_seeded_row_and_says_so(
    admin_client: Client, source: str, named: str
) -> None:
    made = provider(source=source)

    answer = save(admin_client, made, idle_seconds="10")

    assert made.detached
    assert made.source == source
    assert f"came from the {named}" in said(answer)


def test_saving_without_a_change_leaves_row_and_revision_as_they_were(
    admin_client: Client,
) -> None:
    made = provider(source="env", key=UPSTREAM_KEY)
    before, sealed = revision.current(), made.sealed_api_key

    save(admin_client, made, base_url="http://gpu-1:8000", new_api_key=UPSTREAM_KEY)

    assert made.detached is None
    assert made.sealed_api_key == sealed
    assert revision.current() == before


def test_how_calls_are_translated_is_an_edit_with_its_line_in_the_history(
    admin_client: Client,
) -> None:
    made = provider(source="env")

    save(admin_client, made, translation="always")

    assert (made.translation, bool(made.detached)) == ("always", True)
    newest = LogEntry.objects.get_for_object(made).latest("id")
    assert newest.changes["translation"] == ["auto", "always"]


def test_what_routing_goes_by_is_an_edit_with_its_lines_in_the_history(
    admin_client: Client,
) -> None:
    made = provider(source="env")
    assert "shared among them" in text(admin_client.get(page(made)))

    typed = {"weight": "2.5", "max_concurrency": "64"}
    save(admin_client, made, **typed, repeats_after_timeout="on")

    assert (made.weight, made.max_concurrency) == (2.5, 64)
    assert made.repeats_after_timeout
    assert made.detached
    newest = LogEntry.objects.get_for_object(made).latest("id").changes
    assert newest["max_concurrency"] == ["None", "64"]
    assert newest["repeats_after_timeout"] == ["False", "True"]


def test_the_least_concurrency_is_told_also_of_less_than_nothing(admin_client: Client) -> None:
    made = provider()

    answer = admin_client.post(page(made), values(max_concurrency="-1"))

    assert "greater than or equal to 1." in text(answer)


def test_an_empty_concurrency_is_no_limit(admin_client: Client) -> None:
    made = provider(max_concurrency=8)

    save(admin_client, made)

    assert made.max_concurrency is None


def test_a_second_edit_keeps_the_first_time_of_detaching(admin_client: Client) -> None:
    first = timezone.now()
    made = provider(source="env", detached=first)

    answer = save(admin_client, made, idle_seconds="10")

    assert made.detached == first
    assert "came from" not in said(answer)


def test_a_row_of_the_admin_is_never_detached(admin_client: Client) -> None:
    made = provider()

    save(admin_client, made, idle_seconds="10")

    assert made.detached is None
    assert made.idle_seconds == 10


def test_an_edit_counts_as_a_change_for_every_process(admin_client: Client) -> None:
    made = provider()
    before = revision.current()

    save(admin_client, made, weight="2")

    assert made.weight == 2
    assert revision.current() > before


def test_deleting_a_seeded_provider_warns_that_it_returns(admin_client: Client) -> None:
    made = provider(source="env")

    answer = admin_client.post(page(made, "delete"), {"post": "yes"}, follow=True)

    assert not Provider.objects.exists()
    assert "made again at the next start" in said(answer)


def test_deleting_several_counts_as_a_change(admin_client: Client) -> None:
    rows = [provider("one"), provider("two", source="yaml")]
    found(rows[0], "a")
    before = revision.current()
    chosen = {"action": "delete_selected", "_selected_action": [row.pk for row in rows]}

    answer = admin_client.post(LIST, {**chosen, "post": "yes"}, follow=True)

    assert not Provider.objects.exists()
    assert revision.current() > before
    assert "two: still in" in said(answer)


def test_djangos_own_log_names_fields_and_no_values(admin_client: Client) -> None:
    made = provider(key=UPSTREAM_KEY)

    save(admin_client, made, new_api_key="another-key")

    [entry] = AdminLogEntry.objects.all()
    assert "API key" in entry.get_change_message()
    assert "another-key" not in entry.change_message


def test_no_cookie_holds_a_typed_key(admin_client: Client) -> None:
    admin_client.post(ADD, values(new_api_key=UPSTREAM_KEY))

    assert all(UPSTREAM_KEY not in cookie.value for cookie in admin_client.cookies.values())
    assert UPSTREAM_KEY not in str(dict(admin_client.session))


def test_who_may_only_look_cannot_save() -> None:
    made = provider()

    assert client_with("view_provider").post(page(made), values()).status_code == 403


def test_the_deletion_page_names_the_provider_alone(admin_client: Client) -> None:
    found(made := provider(), "a-model")

    shown = text(admin_client.get(page(made, "delete")))

    assert "<li>vllm" in "".join(shown.split("\n")).replace("  ", "")
    assert "Discover" not in shown


def test_a_page_names_a_provider_as_it_is_written(admin_client: Client) -> None:
    assert "Vllm" not in text(admin_client.get(page(provider())))


@pytest.mark.parametrize(
    ("said", "stays"),
    [
        ({"base_url": "env"}, " It stays until"),
        ({"base_url": "env", "weight": "yaml"}, " What it said stays (base_url) until"),
    ],
)
def test_a_row_that_its_source_no_longer_names_says_so(
    admin_client: Client, said: dict[str, str], stays: str
) -> None:
    made = provider(source="env", field_sources=said, unnamed={"env": "2026-11-30T12:00:00+00:00"})

    text = admin_client.get(page(made)).content.decode()

    assert f"12:00 UTC the environment did not name it.{stays} somebody deletes it here" in text
    assert "Not named any more" not in admin_client.get(page(provider("other"))).content.decode()
