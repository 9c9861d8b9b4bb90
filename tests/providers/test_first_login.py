"""The link of a first start: who opens it becomes the first administrator, and nobody after."""

from __future__ import annotations

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client

from aurora_site.logs import JsonFormatter
from providers import first_login

CHOSEN = {"username": "ada", "password": "a-long-one-for-ada"}


@pytest.fixture
def path(db: Any) -> str:
    return first_login.new_path()


def test_who_opens_the_link_and_chooses_a_password_is_in(path: str) -> None:
    browser = Client()

    page = browser.get(path)
    landed = browser.post(path, CHOSEN, follow=True)

    assert page.status_code == 200
    assert (landed.status_code, landed.redirect_chain[-1][0]) == (200, "/admin/")
    user = User.objects.get()
    assert (user.username, user.is_superuser) == ("ada", True)
    assert user.check_password(CHOSEN["password"])


def test_a_program_that_only_looks_at_the_link_makes_nobody(path: str) -> None:
    assert Client().get(path).status_code == 200
    assert Client().head(path).status_code == 405

    assert not User.objects.exists()


def test_the_link_is_used_up_with_the_first_administrator(path: str) -> None:
    other = first_login.new_path()
    Client().post(path, CHOSEN)

    for link in (path, other):
        again = Client().post(link, {**CHOSEN, "username": "eve"})
        assert again.status_code == 403
        assert "used up or has expired" in again.content.decode()
    assert [user.username for user in User.objects.all()] == ["ada"]


def test_an_old_link_is_used_up(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_login, "LINK_SECONDS", -1)

    assert Client().post(path, CHOSEN).status_code == 403
    assert not User.objects.exists()


@pytest.mark.parametrize("token", ["x", "a:b:c", "é", "x" * 3000])
def test_a_guessed_link_is_used_up(db: Any, token: str) -> None:
    assert Client().post(f"/admin/first-login/{token}/", CHOSEN).status_code == 403
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("form", "told"),
    [
        ({"username": "ada", "password": "short"}, "too short"),
        ({"username": "ada", "password": "password123"}, "too common"),
        ({"username": "a b", "password": CHOSEN["password"]}, "Enter a valid username"),
        ({"username": "", "password": CHOSEN["password"]}, "required"),
        ({"username": "clerk", "password": CHOSEN["password"]}, "somebody of this name"),
    ],
)
def test_a_poor_choice_is_told_and_the_link_stays_good(
    path: str, form: dict[str, str], told: str
) -> None:
    User.objects.create_user("clerk")

    page = Client().post(path, form)

    assert (page.status_code, told in page.content.decode()) == (200, True)
    assert Client().post(path, CHOSEN).status_code == 302


def test_another_site_cannot_send_the_form_and_its_refusal_puts_the_link_in_no_log(
    path: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonFormatter())

    assert Client(enforce_csrf_checks=True).post(path, CHOSEN).status_code == 403

    assert not User.objects.exists()
    assert "/admin/first-login/<str:token>/" in caplog.text
    assert path not in caplog.text


def test_the_command_prints_a_link_that_is_good(db: Any) -> None:
    out = StringIO()
    call_command("login_link", stdout=out)

    found = re.fullmatch(r"http://localhost:8080(/admin/first-login/\S+/)\n", out.getvalue())
    assert found is not None
    assert Client().get(found[1]).status_code == 200


def test_with_an_administrator_the_command_prints_none(db: Any) -> None:
    User.objects.create_superuser("ada")

    with pytest.raises(CommandError, match="There is an administrator already"):
        call_command("login_link")
