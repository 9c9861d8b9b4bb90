"""A server that is set up like another is made by one press, or by one call."""

from __future__ import annotations

from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.utils import timezone

from aurora_site.keyring import Keyring
from providers import edits, names
from providers.models import Provider
from tests.providers.admin_pages import UPSTREAM_KEY, client_with, page, provider, said, text
from tests.providers.api_client import MASTER, PROVIDERS, Api, master_key, refusal

pytestmark = pytest.mark.django_db
SETTINGS: dict[str, Any] = {
    "base_url": "http://gpu-1:8000/v1",
    "models_mode": "allowlist",
    "model_ids": ["a", "b"],
    "passthrough": "control",
    "translation": "always",
    "weight": 2.5,
    "max_concurrency": 7,
    "repeats_after_timeout": True,
    "connect_seconds": 1.0,
    "first_byte_seconds": 2.0,
    "idle_seconds": 3.0,
}


def original(**fields: Any) -> Provider:
    return provider("gpu-1", **{"key": UPSTREAM_KEY, **SETTINGS, **fields})


def test_the_button_makes_a_disabled_copy_with_the_key(admin_client: Client) -> None:
    made = original(source="env", detached=timezone.now(), draining=True)

    answer = admin_client.post(page(made, "clone"), follow=True)

    copy = Provider.objects.exclude(pk=made.pk).get()
    assert answer.redirect_chain[-1][0] == page(copy)
    assert "gpu-1-copy is a copy of gpu-1 with its API key, and disabled." in said(answer)
    assert {name: getattr(copy, name) for name in SETTINGS} == SETTINGS
    assert (copy.name, copy.enabled, copy.draining) == ("gpu-1-copy", False, False)
    assert (copy.source, copy.detached) == ("admin", None)
    assert copy.api_key == UPSTREAM_KEY
    assert copy.sealed_api_key != made.sealed_api_key
    assert UPSTREAM_KEY not in text(answer)
    [entry] = LogEntry.objects.get_for_object(copy)
    assert (entry.action, entry.actor.username) == (LogEntry.Action.CREATE, "admin")
    assert UPSTREAM_KEY not in str(entry.changes)


def test_each_copy_gets_a_name_that_is_free(admin_client: Client) -> None:
    made = original()
    for _ in range(3):
        admin_client.post(page(made, "clone"))

    copies = Provider.objects.exclude(pk=made.pk).values_list("name", flat=True)
    assert list(copies) == ["gpu-1-copy", "gpu-1-copy-2", "gpu-1-copy-3"]


def test_a_long_name_makes_room_for_the_rest() -> None:
    longest = "x" * names.MOST_NAME_CHARACTERS

    first = names.of_copy(longest, {longest})
    second = names.of_copy(longest, {longest, first})

    assert first == "x" * 58 + "-copy"
    assert second == "x" * 58 + "-co-2"


def test_a_key_that_cannot_be_opened_is_left_out(settings: Any) -> None:
    made = original()
    settings.KEYRING = Keyring(("x" * 32,))

    assert edits.clone(made).sealed_api_key == ""


@pytest.mark.parametrize("permissions", [("change_provider",), ("add_provider", "view_provider")])
def test_who_may_not_add_or_not_change_servers_gets_no_copy(permissions: tuple[str, ...]) -> None:
    made = original()
    client = client_with("view_provider", *permissions)

    assert client.post(page(made, "clone")).status_code == 403
    assert Provider.objects.count() == 1
    assert "Clone" not in text(client.get(page(made)))


def test_a_program_copies_a_server_under_a_name_of_its_choice() -> None:
    made, _ = original(), master_key()
    api = Api(MASTER)

    answer = api.post(f"{PROVIDERS}/gpu-1/clone", {"name": "gpu-2"})

    assert answer.status_code == 201
    shown = answer.json()
    assert (shown["name"], shown["enabled"], shown["has_api_key"]) == ("gpu-2", False, True)
    assert {name: shown[name] for name in SETTINGS} == SETTINGS
    assert UPSTREAM_KEY not in text(answer)
    assert Provider.objects.get(name="gpu-2").api_key == made.api_key
    assert api.post(f"{PROVIDERS}/gpu-1/clone").json()["name"] == "gpu-1-copy"


@pytest.mark.parametrize(
    ("sent", "status"),
    [({"name": "gpu-1"}, 409), ({"name": "Has Spaces"}, 400), ({"base_url": "http://h"}, 400)],
)
def test_a_name_that_is_taken_or_wrong_is_refused(sent: dict[str, str], status: int) -> None:
    original()
    master_key()

    answer = Api(MASTER).post(f"{PROVIDERS}/gpu-1/clone", sent)

    assert answer.status_code == status
    assert refusal(answer)["param"] in sent
    assert Provider.objects.count() == 1
