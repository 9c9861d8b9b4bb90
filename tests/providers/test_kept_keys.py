"""A key that was typed outlives a mistake in another field, and nobody else can read it."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from aurora_site.keyring import Keyring
from providers.admin import kept_keys
from providers.admin.kept_keys import KEPT_SECONDS, Keeper
from providers.models import Provider
from tests.providers.admin_pages import LIST, UPSTREAM_KEY, page, provider, said, text, values
from tests.scripted_vllm import ScriptedVllm

ADD = f"{LIST}add/"


def kept(answer: Any) -> str:
    """What the page carries in the place of the key."""
    [field] = re.findall(r'<input type="hidden" name="kept_api_key"[^>]*>', text(answer))
    found = re.findall(r'value="([^"]*)"', field)
    return found[0] if found else ""


def mistaken(client: Client, path: str = ADD, **changes: Any) -> Any:
    """The form with a key, and with a mistake in another field."""
    changes = {"base_url": "nonsense", "new_api_key": UPSTREAM_KEY} | changes
    return client.post(path, values(**changes))


@pytest.mark.django_db
def test_a_second_save_after_a_mistake_saves_the_key(admin_client: Client) -> None:
    answer = mistaken(admin_client)
    assert UPSTREAM_KEY not in text(answer)
    assert base64.b64encode(UPSTREAM_KEY.encode()).decode() not in text(answer)
    assert "The key that you typed is kept for 30 minutes" in text(answer)

    admin_client.post(ADD, values(kept_api_key=kept(answer)))

    assert Provider.objects.get().api_key == UPSTREAM_KEY


@pytest.mark.django_db
def test_a_key_outlives_several_mistakes_on_the_page_of_a_provider(admin_client: Client) -> None:
    made = provider(key="the-one-before")

    answer = mistaken(admin_client, page(made))
    answer = admin_client.post(page(made), values(weight="0", kept_api_key=kept(answer)))
    answer = admin_client.post(page(made), values(kept_api_key=kept(answer)), follow=True)

    made.refresh_from_db()
    assert made.api_key == UPSTREAM_KEY
    assert "changed successfully" in said(answer)


@pytest.mark.django_db
def test_a_key_typed_anew_takes_the_place_of_the_kept_one(admin_client: Client) -> None:
    answer = mistaken(admin_client)

    admin_client.post(ADD, values(kept_api_key=kept(answer), new_api_key="another-key"))

    assert Provider.objects.get().api_key == "another-key"


@pytest.mark.django_db
def test_who_removes_the_stored_key_after_a_mistake_gets_none(admin_client: Client) -> None:
    made = provider(key="the-one-before")
    answer = mistaken(admin_client, page(made))

    admin_client.post(page(made), values(kept_api_key=kept(answer), remove_api_key="on"))

    made.refresh_from_db()
    assert made.sealed_api_key == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    "changes",
    [{"new_api_key": "two words"}, {"new_api_key": ""}, {"remove_api_key": "on"}],
    ids=["a wrong key", "no key", "a key that is to be removed"],
)
def test_what_is_no_key_to_save_is_not_kept(admin_client: Client, changes: dict[str, str]) -> None:
    made = provider(key="the-one-before")

    assert kept(mistaken(admin_client, page(made), **changes)) == ""


@pytest.mark.django_db
def test_a_form_without_a_mistake_keeps_nothing(admin_client: Client) -> None:
    assert kept(admin_client.get(ADD)) == ""
    assert kept(admin_client.get(page(provider(key=UPSTREAM_KEY)))) == ""


@pytest.mark.django_db
def test_a_test_of_the_connection_sends_the_kept_key(
    admin_client: Client, vllm: ScriptedVllm
) -> None:
    answer = mistaken(admin_client)
    typed = values(base_url=vllm.url, kept_api_key=kept(answer))

    outcome = admin_client.post(f"{LIST}test/", typed)

    assert [asked.headers.get("authorization") for asked in vllm.discoveries] == [
        f"Bearer {UPSTREAM_KEY}"
    ]
    assert UPSTREAM_KEY not in text(outcome)


@pytest.mark.django_db
def test_what_one_session_keeps_opens_in_no_other(admin_client: Client) -> None:
    """Another's page that is copied, a cached one, or the same user's after a new login."""
    answer = mistaken(admin_client)
    other = Client()
    other.force_login(User.objects.create_superuser("other"))

    refused = other.post(ADD, values(kept_api_key=kept(answer)))

    assert "kept no longer. Type it again." in text(refused)
    assert not Provider.objects.exists()


@pytest.mark.django_db
def test_what_one_page_keeps_opens_on_no_other(admin_client: Client) -> None:
    made = provider()
    answer = mistaken(admin_client)

    refused = admin_client.post(page(made), values(kept_api_key=kept(answer)))

    assert "kept no longer. Type it again." in text(refused)


@pytest.mark.django_db
@pytest.mark.parametrize("sent", ["x", "%%%", "A" * 400, "ü"])
def test_what_was_never_sealed_is_refused(admin_client: Client, sent: str) -> None:
    assert "Type it again." in text(admin_client.post(ADD, values(kept_api_key=sent)))
    assert not Provider.objects.exists()


def test_a_key_is_kept_for_half_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, now = Keeper("session", "new"), 1_000_000.0
    monkeypatch.setattr(kept_keys.time, "time", lambda: now)
    sealed = keeper.seal(UPSTREAM_KEY)

    now += KEPT_SECONDS - 1
    assert keeper.open(sealed) == UPSTREAM_KEY
    now += 2
    assert keeper.open(sealed) is None


def test_another_keyring_opens_nothing(settings: Any) -> None:
    keeper = Keeper("session", "new")
    sealed = keeper.seal(UPSTREAM_KEY)
    settings.KEYRING = Keyring(("x" * 32,))

    assert keeper.open(sealed) is None


def test_nothing_opens_without_a_session() -> None:
    assert Keeper("", "new").open(Keeper("", "new").seal(UPSTREAM_KEY)) is None
