"""Which hosts the admin answers under, and what somebody is told who comes by another."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.test import Client

from aurora_site import options, public

LOGIN = "/admin/login/"
BROWSER = {"accept": "text/html"}


@pytest.fixture
def public_urls(settings: Any) -> Any:
    """Sets AURORA_PUBLIC_URL as `settings` has it."""

    def give(value: str) -> None:
        settings.PUBLIC_URLS = options.public_urls(value)
        settings.CSRF_TRUSTED_ORIGINS = [str(url) for url in settings.PUBLIC_URLS]
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

    return give


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("http://a.example.com", "a.example.com"),
        ("http://a.example.com", "A.Example.com:8080"),
        ("http://a.example.com, http://aurora:8080", "aurora:8080"),
        ("http://[2001:db8::1]:8080", "[2001:DB8::1]:8080"),
        ("http://bücher.example", "xn--bcher-kva.example"),
        ("", "whatever.example"),
    ],
)
def test_the_admin_answers_under_the_hosts_that_are_named(db, public_urls, value, host):
    public_urls(value)

    assert Client().get(LOGIN, headers={"host": host}).status_code == 200


def test_a_browser_under_another_host_reads_what_to_set_and_the_log_says_it_once(
    db, public_urls, caplog
):
    public_urls("https://a.example.com")
    client = Client()
    strange = {"host": "aurora:8080", "origin": "http://aurora:8080", **BROWSER}

    with caplog.at_level(logging.WARNING, "aurora.admin"):
        answers = [client.get(LOGIN, headers=strange) for _ in range(2)]

    for answer in answers:
        assert answer.status_code == 400
        page = answer.content.decode()
        assert "aurora:8080" in page
        assert "AURORA_PUBLIC_URL allows https://a.example.com" in page
    [record] = caplog.records
    assert record.fields == {
        "host": "aurora:8080",
        "origin": "http://aurora:8080",
        "allowed": "https://a.example.com",
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_management_api_asks_for_no_host_and_redirects_nothing(db, public_urls, method):
    public_urls("https://a.example.com")
    headers = {"host": "aurora:8080"}

    answer = Client().generic(method, "/api/providers", headers=headers)

    assert answer.status_code == 401  # for want of a key alone


def test_a_visit_by_http_is_sent_to_the_https_address_that_is_public(db, public_urls):
    public_urls("https://a.example.com:8443, http://aurora:8080")
    client = Client()

    sent = client.get(f"{LOGIN}?next=/admin/", headers={"host": "a.example.com"})
    inside = client.get(LOGIN, headers={"host": "aurora:8080"})
    proxied = client.get(LOGIN, headers={"host": "a.example.com", "x-forwarded-proto": "https"})

    assert (sent.status_code, sent.headers["location"]) == (
        301,
        f"https://a.example.com:8443{LOGIN}?next=/admin/",
    )
    assert (inside.status_code, proxied.status_code) == (200, 200)


def test_a_proxy_that_says_nothing_of_https_does_not_send_a_browser_in_circles(db, public_urls):
    public_urls("https://a.example.com")
    browser = {"host": "a.example.com", "sec-fetch-site": "none"}

    assert Client().get(LOGIN, headers=browser).status_code == 200


def test_no_browser_is_told_to_keep_to_https_unless_asked(db, public_urls):
    public_urls("https://a.example.com")
    secure = {"host": "a.example.com", "x-forwarded-proto": "https"}

    assert "strict-transport-security" not in Client().get(LOGIN, headers=secure).headers


def test_browsers_are_told_to_keep_to_https_for_the_span_that_is_set(db, public_urls, settings):
    public_urls("https://a.example.com")
    settings.SECURE_HSTS_SECONDS = 3600
    secure = {"host": "a.example.com", "x-forwarded-proto": "https"}

    answer = Client().get(LOGIN, headers=secure)

    assert answer.headers["strict-transport-security"] == "max-age=3600"


def form(host: str, origin: str, **more: str) -> Any:
    """The login form, filled in and sent by a browser at `origin` that a proxy passes on."""
    User.objects.create_superuser("admin", password="a-long-password")
    client = Client(enforce_csrf_checks=True)
    client.get(LOGIN, headers={"host": host})
    token = client.cookies[django_settings.CSRF_COOKIE_NAME].value
    filled = {"username": "admin", "password": "a-long-password", "csrfmiddlewaretoken": token}
    headers = {"host": host, "origin": origin, **BROWSER, **more}
    return client.post(LOGIN, filled, headers=headers)


def test_a_login_through_a_proxy_that_passes_another_host_is_explained(db, caplog):
    answer = form("127.0.0.1:8080", "http://aurora.lan")

    assert answer.status_code == 403
    page = answer.content.decode()
    assert "shows this page at http://aurora.lan" in page
    assert "host 127.0.0.1:8080" in page
    assert "proxy_set_header Host" in page
    assert "AURORA_PUBLIC_URL=http://aurora.lan" in page
    [record] = [each for each in caplog.records if each.name == "aurora.admin"]
    assert record.fields == {
        "host": "127.0.0.1:8080",
        "origin": "http://aurora.lan",
        "path": LOGIN,
    }


def test_a_login_through_such_a_proxy_works_where_the_browser_says_same_origin(db):
    answer = form("127.0.0.1:8080", "https://aurora.lan", **{"sec-fetch-site": "same-origin"})

    assert (answer.status_code, answer.headers["location"]) == (302, "/admin/")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none", ""])
def test_a_form_of_another_site_is_refused(db, site):
    answer = form("aurora.lan", "https://evil.example", **{"sec-fetch-site": site})

    assert answer.status_code == 403


def test_a_host_header_of_any_kind_is_read_or_is_none():
    assert public.host_of("[::1") == ""
    assert public.host_of("a..b") == ""
    assert public.host_of("A.example.:80") == "a.example"


def test_a_host_that_is_longer_than_a_name_can_be_is_none():
    hidden = "\N{SOFT HYPHEN}"  # IDNA takes it out

    assert public.host_of(f"a{hidden}.example") == "a.example"
    assert public.host_of(f"a{hidden * public.MOST_HOST_CHARACTERS}.example") == ""
