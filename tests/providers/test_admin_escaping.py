"""What a hostile server or a careless colleague writes is text on every page, never markup."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from auditlog.models import LogEntry
from django.test import Client
from django.urls import reverse
from django.utils.html import escape

from providers.models import ApiKey, Provider
from tests.providers.admin_pages import (
    HISTORY,
    HOSTILE,
    KEYS,
    LIST,
    found,
    page,
    provider,
    text,
    values,
)
from tests.scripted_vllm import ScriptedVllm

pytestmark = pytest.mark.django_db
QUOTED = '"><img src=x onerror=alert(1)>'


@pytest.fixture
def hostile() -> Provider:
    made = provider(base_url=f"http://gpu-1/{HOSTILE}{QUOTED.replace(' ', '/')}", source="env")
    cards = [{"id": HOSTILE, "max_model_len": HOSTILE, "parent": QUOTED}, {"id": QUOTED}]
    found(
        made,
        cards=cards,
        routes=[f"/{HOSTILE}", f"/{QUOTED}"],
        error=f"Cannot be reached: {HOSTILE}{QUOTED}",
    )
    made.model_ids = [HOSTILE, QUOTED]
    made.save()
    return made


@pytest.fixture
def hostile_key() -> ApiKey:
    held, _ = ApiKey.objects.issue(f"{HOSTILE}{QUOTED}")
    held.hint = "…<b>"
    held.save()
    return held


def pages(hostile: Provider, key: ApiKey) -> Iterator[str]:
    yield from ("/admin/", LIST, KEYS, HISTORY, f"{LIST}?q={HOSTILE}", f"{KEYS}?q={HOSTILE}")
    yield from (page(hostile, view) for view in ("change", "history", "delete"))
    yield from (page(key, view) for view in ("change", "history", "rotate", "revoke"))
    for entry in LogEntry.objects.all():
        yield reverse("admin:auditlog_logentry_change", args=[entry.pk])


def test_no_page_lets_markup_through(
    admin_client: Client, hostile: Provider, hostile_key: ApiKey
) -> None:
    seen = 0
    for path in pages(hostile, hostile_key):
        shown = text(admin_client.get(path))
        assert HOSTILE not in shown, path
        assert "<img src=x" not in shown, path
        assert "<img/src=x" not in shown, path
        assert "…<b>" not in shown, path
        seen += escape(HOSTILE) in shown
    assert seen >= 12


def test_messages_are_text(admin_client: Client, hostile_key: ApiKey) -> None:
    answer = admin_client.post(page(hostile_key, "revoke"), follow=True)

    assert HOSTILE not in text(answer)
    assert escape(HOSTILE) in text(answer)


def test_the_page_with_the_secret_is_text(admin_client: Client, hostile_key: ApiKey) -> None:
    answer = admin_client.post(page(hostile_key, "rotate"), {"overlap": "3600"})

    assert "aurora-" in text(answer)
    assert HOSTILE not in text(answer)


def test_what_a_tested_server_says_is_text(admin_client: Client) -> None:
    with ScriptedVllm() as vllm:
        vllm.models = [HOSTILE, QUOTED]
        vllm.routes = (f"/{HOSTILE}", f"/{QUOTED}")
        made = provider("other", base_url=vllm.url)
        admin_client.post(page(made, "refresh"))
        answers: list[Any] = [admin_client.get(page(made)), admin_client.get(LIST)]
        vllm.discovery.will_answer_json(500, {"error": HOSTILE})
        answers.append(admin_client.post(page(made, "test"), values(base_url=vllm.url)))

    assert escape(f"other/{HOSTILE}") in text(answers[0])
    assert f"<code>/{escape(HOSTILE)}</code>" in text(answers[0])
    assert all(HOSTILE not in text(answer) for answer in answers)
    assert all("<img src=x" not in text(answer) for answer in answers)


def test_a_refused_form_gives_typed_markup_back_as_text(admin_client: Client) -> None:
    answer = admin_client.post(f"{LIST}add/", values(name=HOSTILE, base_url=QUOTED))

    assert answer.status_code == 200
    assert HOSTILE not in text(answer)
    assert "<img src=x" not in text(answer)
