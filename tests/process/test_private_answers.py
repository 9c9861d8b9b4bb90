"""No cache may keep an answer of the admin or the management API, refused ones among them."""

from __future__ import annotations

import pytest

from tests.process.running import Aurora
from tests.raw_http import Answer, RawClient, request_bytes

MASTER_KEY = "sk-of-the-private-answers-0123456789"
BEARER = ("Authorization", f"Bearer {MASTER_KEY}")
TOO_LONG = ("Content-Length", str(2**30))
PERSON = ("Accept", "text/html")
REQUESTS = {
    "the way to the admin": ("GET", "/", []),
    "login page": ("GET", "/admin/login/", []),
    "redirect": ("GET", "/admin/providers/provider/", []),
    "first login": ("GET", "/admin/first-login/of-nobody/", [PERSON]),
    "scripts of the admin": ("GET", "/admin/jsi18n/", []),
    "forged form": ("POST", "/admin/login/", []),
    "API": ("GET", "/api/providers", [BEARER]),
    "its description": ("GET", "/api/openapi.json", [BEARER]),
    "API without a key": ("GET", "/api/providers", []),
    "no such path": ("GET", "/api/nothing", [BEARER]),
    "no such method": ("DELETE", "/api/providers", [BEARER]),
    "body too large": ("POST", "/api/providers", [BEARER, TOO_LONG]),
    "form too large": ("POST", "/admin/login/", [TOO_LONG]),
    "form of a person too large": ("POST", "/admin/login/", [TOO_LONG, PERSON]),
}


@pytest.fixture(scope="module")
def aurora(serve_all) -> Aurora:
    started: Aurora = serve_all(AURORA_MASTER_KEY=MASTER_KEY)
    return started


def answer_to(aurora: Aurora, method: str, path: str, headers: list[tuple[str, str]]) -> Answer:
    with RawClient("127.0.0.1", aurora.port) as client:
        client.send(request_bytes(method, path, headers))
        return client.read_answer()


@pytest.mark.parametrize("request_of", REQUESTS.values(), ids=REQUESTS.keys())
def test_no_cache_may_keep_what_depends_on_who_asks(aurora: Aurora, request_of: tuple) -> None:
    answer = answer_to(aurora, *request_of)

    assert answer.headers["cache-control"] == "private, no-store"
    varies = {name.strip().lower() for name in answer.headers["vary"].split(",")}
    assert varies >= {"accept", "authorization", "cookie", "x-api-key", "api-key"}


def test_static_files_may_be_kept(aurora: Aurora) -> None:
    answer = answer_to(aurora, "GET", "/static/unfold/css/styles.css", [])

    assert answer.status == 200
    assert "no-store" not in answer.headers.get("cache-control", "")
