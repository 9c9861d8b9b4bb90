"""What Django refuses by itself, in the one shape of Aurora's errors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

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


def test_a_host_that_is_not_allowed_is_400(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["aurora.example.com"]

    answer = Client().get("/admin/login/", headers={"host": "scanner.example"})

    assert told(answer) == (400, "invalid_request_error", "invalid_request")
