"""Test connection, refresh models, follow again: they ask real sockets, and only by POST."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.utils import timezone

from providers import revision
from providers.models import Discovery, Provider
from tests.providers.admin_pages import (
    HOSTILE,
    LIST,
    UPSTREAM_KEY,
    client_with,
    page,
    process,
    provider,
    report,
    said,
    text,
    values,
)
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.django_db
TEST_NEW = f"{LIST}test/"
BUTTONS = ("test", "refresh", "follow", "drain", "take_calls", "clone")


def sent_keys(vllm: ScriptedVllm) -> list[str | None]:
    return [asked.headers.get("authorization") for asked in vllm.discoveries]


def test_a_connection_is_tested_with_typed_values_before_anything_is_saved(
    admin_client: Client, vllm: ScriptedVllm
) -> None:
    typed = values(name="", base_url=vllm.url, new_api_key=UPSTREAM_KEY)

    answer = admin_client.post(TEST_NEW, typed)

    assert "It answers: 1 model." in text(answer)
    assert sent_keys(vllm) == [f"Bearer {UPSTREAM_KEY}"]
    assert UPSTREAM_KEY not in text(answer)
    assert not Provider.objects.exists()


def test_the_models_that_are_found_are_listed(admin_client: Client, vllm: ScriptedVllm) -> None:
    vllm.models = ["meta-llama/Llama-3.1-8B", HOSTILE, *(f"adapter-{n}" for n in range(60))]

    answer = text(admin_client.post(TEST_NEW, values(base_url=vllm.url)))

    assert "It answers: 62 models." in answer
    assert "<code>meta-llama/Llama-3.1-8B</code>" in answer
    assert HOSTILE not in answer
    assert "and 12 more" in answer


@pytest.mark.parametrize("path", ["/v1/v1", "/v1/chat/completions"])
def test_a_base_url_with_a_path_too_many_is_told_with_the_one_that_is_meant(
    admin_client: Client, vllm: ScriptedVllm, path: str
) -> None:
    root = vllm.url.removesuffix("/v1")

    answer = admin_client.post(TEST_NEW, values(base_url=f"{root}{path}"))

    assert f"{root}/v1 is probably meant" in text(answer)


def test_a_missing_key_is_told_from_a_wrong_one(admin_client: Client, vllm: ScriptedVllm) -> None:
    vllm.required_key = "right"

    missing = text(admin_client.post(TEST_NEW, values(base_url=vllm.url)))
    wrong = text(admin_client.post(TEST_NEW, values(base_url=vllm.url, new_api_key="wrong")))

    assert "asks for an API key (HTTP 401), and none was sent" in missing
    assert "refuses the API key (HTTP 401)" in wrong


def test_a_saved_provider_is_tested_with_its_stored_key(
    admin_client: Client, vllm: ScriptedVllm
) -> None:
    made = provider(base_url=vllm.url, key=UPSTREAM_KEY)
    before = revision.current()

    answer = admin_client.post(page(made, "test"), values(base_url=vllm.url))

    assert "It answers" in text(answer)
    assert sent_keys(vllm) == [f"Bearer {UPSTREAM_KEY}"]
    assert not Discovery.objects.exists()
    assert revision.current() == before


def test_a_stored_key_is_not_sent_to_an_address_that_was_only_typed(
    admin_client: Client, vllm: ScriptedVllm
) -> None:
    made = provider(key=UPSTREAM_KEY)

    answer = admin_client.post(page(made, "test"), values(base_url=vllm.url))

    assert sent_keys(vllm) == [None]
    assert "without the stored key" in text(answer)
    made.refresh_from_db()
    assert made.api_key == UPSTREAM_KEY


def test_a_key_that_is_to_be_removed_is_not_sent(admin_client: Client, vllm: ScriptedVllm) -> None:
    made = provider(base_url=vllm.url, key=UPSTREAM_KEY)

    admin_client.post(page(made, "test"), values(base_url=vllm.url, remove_api_key="on"))

    assert sent_keys(vllm) == [None]


def test_a_refused_key_is_told(admin_client: Client, vllm: ScriptedVllm) -> None:
    vllm.required_key = "right"

    answer = admin_client.post(TEST_NEW, values(base_url=vllm.url, new_api_key="wrong"))

    assert "refuses the API key" in text(answer)


def test_an_address_where_nothing_listens_is_told(admin_client: Client, vllm: ScriptedVllm) -> None:
    vllm.will_refuse()

    assert "Cannot be reached" in text(admin_client.post(TEST_NEW, values(base_url=vllm.url)))


def test_an_unusable_address_is_told_and_nothing_is_asked(admin_client: Client) -> None:
    answer = admin_client.post(TEST_NEW, values(base_url=f"nonsense{HOSTILE}"))

    assert "A URL such as" in text(answer)
    assert HOSTILE not in text(answer)


def test_refreshing_keeps_what_the_server_says(admin_client: Client, vllm: ScriptedVllm) -> None:
    vllm.models = ["one", "two"]
    made = provider(base_url=vllm.url)
    before = revision.current()

    answer = admin_client.post(page(made, "refresh"), follow=True)

    assert "lists 2 models" in said(answer)
    assert "vllm/two" in text(answer)
    assert [card["id"] for card in Discovery.objects.get().cards] == ["one", "two"]
    assert revision.current() > before


def test_refreshing_a_server_that_fails_tells_why_and_keeps_its_models(
    admin_client: Client, vllm: ScriptedVllm
) -> None:
    made = provider(base_url=vllm.url)
    admin_client.post(page(made, "refresh"))
    vllm.will_refuse()

    answer = admin_client.post(page(made, "refresh"), follow=True)

    assert "Cannot be reached" in said(answer)
    assert "last known" in text(answer)
    assert len(Discovery.objects.get().cards) == 1


def test_following_again_reattaches_the_row(admin_client: Client) -> None:
    made = provider(source="env", detached=timezone.now())
    assert "Follow the environment again" in text(admin_client.get(page(made)))

    answer = admin_client.post(page(made, "follow"), follow=True)

    made.refresh_from_db()
    assert made.detached is None
    assert "from the next start on" in said(answer)
    assert "Follow the environment again" not in text(answer)


def test_a_button_drains_and_lets_calls_come_again(admin_client: Client) -> None:
    made = provider(source="env")
    process(report(made, in_flight=3))

    answer = admin_client.post(page(made, "drain"), follow=True)

    made.refresh_from_db()
    assert (made.draining, bool(made.detached)) == (True, True)
    assert "3 calls are still running" in text(answer)
    assert page(made, "take_calls") in text(answer)
    assert page(made, "drain") not in text(answer)

    answer = admin_client.post(page(made, "take_calls"), follow=True)
    made.refresh_from_db()
    assert not made.draining
    assert page(made, "drain") in text(answer)


@pytest.mark.parametrize("view", BUTTONS)
def test_the_buttons_answer_to_nothing_but_post(admin_client: Client, view: str) -> None:
    made = provider(source="env", detached=timezone.now())

    assert admin_client.get(page(made, view)).status_code == 405
    assert admin_client.put(page(made, view)).status_code == 405
    made.refresh_from_db()
    assert made.detached


@pytest.mark.parametrize("view", BUTTONS)
def test_the_buttons_need_the_right_to_change(vllm: ScriptedVllm, view: str) -> None:
    made = provider(base_url=vllm.url, source="env", detached=timezone.now())

    answer = client_with("view_provider").post(page(made, view), values(base_url=vllm.url))

    assert answer.status_code == 403
    assert vllm.discoveries == []
    made.refresh_from_db()
    assert made.detached


def test_testing_a_new_server_needs_the_right_to_add(vllm: ScriptedVllm) -> None:
    client = client_with("change_provider", "view_provider")

    assert client.post(TEST_NEW, values(base_url=vllm.url)).status_code == 403
    assert vllm.discoveries == []


@pytest.mark.parametrize("stored", [False, True])
def test_a_test_after_the_session_has_ended_says_so_with_a_way_to_log_in(
    vllm: ScriptedVllm, stored: bool
) -> None:
    made = provider(base_url=vllm.url)

    answer = Client().post(page(made, "test") if stored else TEST_NEW, values(base_url=vllm.url))

    assert answer.status_code == 200
    assert "Your session has ended" in text(answer)
    back = page(made) if stored else f"{LIST}add/"
    assert f'href="/admin/login/?next={quote(back, safe="")}"' in text(answer)
    assert "password" not in text(answer)
    assert vllm.discoveries == []


@pytest.mark.parametrize("view", BUTTONS)
def test_the_buttons_need_the_forgery_token(admin_user: Any, vllm: ScriptedVllm, view: str) -> None:
    made = provider(base_url=vllm.url, source="env", detached=timezone.now())
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)

    assert client.post(page(made, view), values(base_url=vllm.url)).status_code == 403
    assert vllm.discoveries == []


@pytest.mark.parametrize("view", BUTTONS)
def test_a_provider_that_is_gone_is_not_found(admin_client: Client, view: str) -> None:
    gone = provider()
    address = page(gone, view)
    gone.delete()

    assert admin_client.post(address, values()).status_code == 404
