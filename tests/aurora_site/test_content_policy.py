"""Every page says what it may load and run; what is no page says that it loads nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from aurora_site import options
from aurora_site.content_policy import DATA, HEADER, PAGE, REFUSAL
from providers import first_login
from tests.providers.admin_pages import HISTORY, KEYS, LIST

ROOT = Path(__file__).parent.parent.parent
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PROTECTION = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def protected(answer: Any) -> bool:
    return {name: answer.headers.get(name) for name in PROTECTION} == PROTECTION


@pytest.mark.parametrize(
    "path",
    ["/admin/", LIST, f"{LIST}add/", KEYS, HISTORY, "/admin/providers/alias/", "/admin/auth/user/"],
)
def test_a_page_of_the_admin_has_the_policy(admin_client: Client, path: str) -> None:
    answer = admin_client.get(path, headers=BROWSER)

    assert (answer.status_code, answer.headers[HEADER]) == (200, PAGE)
    assert protected(answer)


@pytest.mark.parametrize(("path", "status"), [("/", 302), ("/admin/", 302), ("/admin/login/", 200)])
def test_the_way_to_the_admin_has_the_policy(db: Any, path: str, status: int) -> None:
    answer = Client().get(path, headers=BROWSER)

    assert (answer.status_code, answer.headers[HEADER]) == (status, PAGE)


def test_a_first_login_has_the_policy(db: Any) -> None:
    answer = Client().get(first_login.new_path(), headers=BROWSER)

    assert (answer.status_code, answer.headers[HEADER]) == (200, PAGE)
    assert protected(answer)


@pytest.mark.parametrize(
    ("path", "host", "status"),
    [("/admin/nothing/", "testserver", 404), ("/admin/login/", "a b", 400)],
)
def test_a_page_that_only_refuses_may_run_nothing(
    admin_client: Client, path: str, host: str, status: int
) -> None:
    answer = admin_client.get(path, headers={**BROWSER, "host": host})

    assert (answer.status_code, answer.headers[HEADER]) == (status, REFUSAL)
    assert protected(answer)


def test_a_page_refused_for_its_host_may_run_nothing(settings: Any) -> None:
    settings.PUBLIC_URLS = options.public_urls("https://aurora.example.com")
    answer = Client().get("/admin/login/", headers=BROWSER)

    assert (answer.status_code, answer.headers[HEADER]) == (400, REFUSAL)
    assert protected(answer)


def test_the_management_api_loads_nothing(db: Any) -> None:
    answer = Client().get("/api/providers")

    assert (answer.status_code, answer.headers[HEADER]) == (401, DATA)


def test_a_static_file_has_no_policy(db: Any) -> None:
    answer = Client().get("/static/providers/copy_secret.js")
    answer.close()

    assert answer.status_code == 200
    assert HEADER not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("policy", [PAGE, REFUSAL, DATA])
def test_no_policy_lets_a_page_run_scripts_within_it_or_be_framed(policy: str) -> None:
    directives = dict(each.split(" ", 1) for each in policy.split("; "))
    scripts = directives.get("script-src", directives["default-src"])

    assert "'unsafe-inline'" not in scripts
    assert "*" not in policy
    assert directives["frame-ancestors"] == "'none'"


def test_no_template_has_a_script_or_a_handler_within_it() -> None:
    """The policy would stop it in the browser alone."""
    inline = re.compile(r"<script(?![^>]*\bsrc=)|\son[a-z]+\s*=|javascript:")
    templates = list((ROOT / "templates").rglob("*.html"))

    assert templates
    assert [path.name for path in templates if inline.search(path.read_text())] == []
