"""Many servers are pasted at once: a preview, then all of them or none."""

from __future__ import annotations

import html
import re
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from providers import revision
from providers.models import Provider
from providers.pasted import MOST_SERVERS
from tests.providers.admin_pages import HOSTILE, LIST, client_with, provider, said, text

pytestmark = pytest.mark.django_db
PAGE = f"{LIST}add-several/"
FIRST, SECOND = "sk-of-the-first-0123456789", "sk-of-the-second-0123456789"
GOOD = f"http://gpu-1:8000\ngpu-two http://gpu-2:8000/v1 {FIRST}\nhttp://gpu-3 {SECOND}"


def carried(shown: Any) -> dict[str, str]:
    """What the page sends when a button of it is pressed."""
    page = text(shown)
    sent = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
    [area] = re.findall(r"<textarea[^>]*>\s*(.*?)</textarea>", page, re.DOTALL)
    return {name: html.unescape(value) for name, value in {**sent, "servers": area}.items()}


def preview(client: Client, servers: str) -> Any:
    return client.post(PAGE, {"servers": servers, "_preview": "1"})


def add(client: Client, shown: Any, **changes: str) -> Any:
    return client.post(PAGE, {**carried(shown), **changes, "_add": "1"}, follow=True)


def test_lines_are_previewed_and_then_added_each_with_its_line_in_the_history(
    admin_client: Client,
) -> None:
    before = revision.current()
    shown = preview(admin_client, GOOD)

    assert "Add 3 servers" in text(shown)
    assert all(secret not in text(shown) for secret in (FIRST, SECOND))
    assert not Provider.objects.exists()
    assert revision.current() == before

    done = add(admin_client, shown)

    assert "3 added." in said(done)
    rows = {row.name: row for row in Provider.objects.all()}
    assert {name: row.base_url for name, row in rows.items()} == {
        "gpu-1": "http://gpu-1:8000/v1",
        "gpu-two": "http://gpu-2:8000/v1",
        "gpu-3": "http://gpu-3/v1",
    }
    assert [rows[name].api_key for name in ("gpu-1", "gpu-two", "gpu-3")] == ["", FIRST, SECOND]
    assert {row.source for row in rows.values()} == {"admin"}
    entries = LogEntry.objects.filter(action=LogEntry.Action.CREATE, actor__username="admin")
    assert {entry.object_repr for entry in entries} >= set(rows)
    assert revision.current() > before


def test_one_mistake_keeps_all_from_being_added_and_is_told_by_its_line(
    admin_client: Client,
) -> None:
    provider("taken", base_url="http://other")
    shown = preview(admin_client, f"{GOOD}\ntaken http://gpu-4\nBad Name")

    assert "The name taken is taken." in text(shown)
    assert "2 lines to put right. Nothing has been added." in text(shown)
    assert 'name="_add"' not in text(shown)
    assert FIRST not in text(shown)
    add(admin_client, shown)
    assert Provider.objects.count() == 1

    mended = carried(shown)["servers"].replace("taken http", "free http").replace("Bad ", "# ")
    again = admin_client.post(PAGE, {**carried(shown), "servers": mended, "_preview": "1"})
    add(admin_client, again)
    assert Provider.objects.get(name="gpu-two").api_key == FIRST
    assert Provider.objects.count() == 5


@pytest.mark.parametrize("name", ["Upper", "a/b", "-a", "x" * 64])
def test_a_name_that_no_provider_may_have_is_a_mistake(admin_client: Client, name: str) -> None:
    shown = preview(admin_client, f"{name} http://gpu-1")

    assert "1 line to put right." in text(shown)


def test_what_was_changed_since_the_preview_is_previewed_first(admin_client: Client) -> None:
    shown = preview(admin_client, "http://gpu-1")

    again = add(admin_client, shown, servers="http://gpu-2")

    assert "Add 1 server" in text(again)
    assert not Provider.objects.exists()


def test_a_name_that_is_taken_meanwhile_keeps_all_from_being_added(admin_client: Client) -> None:
    shown = preview(admin_client, "a http://gpu-1\nb http://gpu-2")
    provider("b", base_url="http://other")

    again = add(admin_client, shown)

    assert "The name b is taken." in text(again)
    assert list(Provider.objects.values_list("name", flat=True)) == ["b"]


def test_the_keys_of_one_session_are_of_no_use_in_another(admin_client: Client) -> None:
    shown = preview(admin_client, GOOD)
    other = Client()
    other.force_login(User.objects.create_superuser("other"))

    again = add(other, shown)

    assert "kept no longer: type it again" in text(again)
    assert not Provider.objects.exists()


@pytest.mark.parametrize("servers", ["", "\n# nothing\n", "x" * 200_001, "a\0b"])
def test_what_holds_no_server_or_too_much_adds_nothing(admin_client: Client, servers: str) -> None:
    shown = preview(admin_client, servers)

    assert shown.status_code == 200
    assert 'name="_add"' not in text(shown)


def test_there_is_a_most(admin_client: Client) -> None:
    lines = "\n".join(f"http://gpu-{number}" for number in range(MOST_SERVERS + 1))

    assert f"At most {MOST_SERVERS} servers" in text(preview(admin_client, lines))


def test_what_is_pasted_is_text(admin_client: Client) -> None:
    shown = preview(admin_client, f"{HOSTILE} http://gpu-1\nhttp://{HOSTILE}\n</textarea>{HOSTILE}")

    assert HOSTILE not in text(shown)


def test_who_may_not_add_servers_has_no_such_page(admin_client: Client) -> None:
    assert PAGE in text(admin_client.get(LIST))
    client = client_with("view_provider", "change_provider")

    assert PAGE not in text(client.get(LIST))
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, {"servers": "http://gpu-1"}).status_code == 403
    assert Client().get(PAGE).status_code == 302
