"""What Django refuses by itself: the one shape for programs, a page for people below /admin/."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from aurora_site import urls
from tests.providers.admin_pages import LIST


def told(answer: Any) -> tuple[int, str, str]:
    """The status, the error's type and its code."""
    assert answer.headers["content-type"] == "application/json"
    said = json.loads(answer.content)
    assert list(said) == ["error"]
    assert set(said["error"]) == {"message", "type", "param", "code"}
    assert said["error"]["message"]
    return answer.status_code, said["error"]["type"], said["error"]["code"]


@pytest.fixture
def staff(db: Any) -> Client:
    """Somebody who may enter the admin, and do nothing there."""
    client = Client()
    client.force_login(User.objects.create(username="onlooker", is_staff=True))
    return client


def test_a_page_that_is_not_permitted_is_403(staff: Client) -> None:
    assert told(staff.get(LIST)) == (403, "permission_error", "not_permitted")


def test_a_form_without_its_forgery_token_is_403(db: Any) -> None:
    answer = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "admin"})

    assert told(answer) == (403, "permission_error", "not_permitted")


def test_a_path_of_nobodys_is_404() -> None:
    assert told(Client().get("/nobody")) == (404, "invalid_request_error", "unknown_path")


def test_a_host_that_is_none_is_400(db: Any) -> None:
    answer = Client().get("/admin/login/", headers={"host": "a b"})

    assert told(answer) == (400, "invalid_request_error", "invalid_request")


BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def page_of(answer: Any, status: int) -> str:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return str(answer.content.decode())


def test_a_person_without_the_permission_gets_a_page(staff: Client) -> None:
    assert "Your account may not do this." in page_of(staff.get(LIST, headers=BROWSER), 403)


def test_a_person_who_mistypes_an_address_gets_a_page_that_repeats_it_harmlessly(
    admin_client: Client,
) -> None:
    page = page_of(admin_client.get("/admin/<script>/x/", headers=BROWSER), 404)

    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_person_whose_page_fails_gets_a_page() -> None:
    request = RequestFactory().get("/admin/", headers={**BROWSER, "x-request-id": "r-1"})

    page = page_of(urls.server_error(request), 500)

    assert "its log says why" in page
    assert "request r-1" in page


def test_a_person_is_told_of_an_expired_form(db: Any) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.cookies[settings.CSRF_COOKIE_NAME] = "a" * 32

    page = page_of(browser.post("/admin/login/", {"username": "a"}, headers=BROWSER), 403)

    assert "This form has expired. Reload the page." in page


def test_the_management_api_speaks_json_to_a_browser_too(db: Any) -> None:
    answer = Client().get("/api/providers", headers=BROWSER)

    assert told(answer)[0] == 401
