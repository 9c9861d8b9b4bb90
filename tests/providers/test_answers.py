"""An answer that is no list of models is told with its likely cause and what mends it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import addresses, faults
from providers.answers import Question, explained
from providers.fetch import Fetched

SIGN_IN = b"<!DOCTYPE html>\n<html><head><title>\n Sign in &amp; go </title></head></html>"
BAD_GATEWAY = b"<html>\r\n<head><title>502 Bad Gateway</title></head></html>"
OVER_PLAIN_HTTP = (
    b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
    b"Client sent an HTTP request to an HTTPS server.\n",
    b"<html>Reason: You're speaking plain HTTP to an SSL-enabled server port.</html>",
)


def told(
    status: int,
    body: bytes = b"",
    *,
    base_url: str = "http://gpu-1:8000",
    has_key: bool = True,
    location: str = "",
) -> str:
    question = Question(addresses.parse(base_url), has_key)
    return explained(Fetched(status, body, location), question)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_and_a_missing_one_are_told_apart(status: int) -> None:
    unauthorized = b'{"error":"Unauthorized"}'

    wrong = told(status, unauthorized, has_key=True)
    missing = told(status, unauthorized, has_key=False)

    assert wrong.startswith(f"The server refuses the API key (HTTP {status}).")
    assert missing.startswith(f"The server asks for an API key (HTTP {status}), and none was sent.")
    assert all("--api-key" in text for text in (wrong, missing))


def test_a_login_page_is_not_taken_for_a_wrong_key() -> None:
    text = told(403, SIGN_IN)

    assert text.startswith("A proxy or login page, not vLLM, refuses the request (HTTP 403)")
    assert "(“Sign in & go”)" in text
    assert "API key" not in text


def test_a_page_in_the_place_of_models_is_told_with_its_title() -> None:
    text = told(200, SIGN_IN)

    assert text.startswith("The answer is an HTML page (“Sign in & go”), not a list of models.")
    assert "A proxy or another program answers" in text


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_does_not_reach_vllm_is_told(status: int) -> None:
    text = told(status, BAD_GATEWAY)

    assert text.startswith(
        f"The server answers HTTP {status}, with an HTML page (“502 Bad Gateway”)"
    )
    assert "A proxy before vLLM answers, and does not reach it." in text


@pytest.mark.parametrize("body", OVER_PLAIN_HTTP)
def test_a_server_that_wants_https_is_told(body: bytes) -> None:
    assert (
        told(400, body)
        == f"Cannot be reached: {faults.SPEAKS_TLS.fact}. Write https:// in the base URL."
    )


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_told_with_where_it_leads(status: int) -> None:
    text = told(status, location="https://gpu-1:8443/v1/models?token=secret")

    assert f"HTTP {status}: it redirects to https://gpu-1:8443/v1." in text
    assert "secret" not in text


@pytest.mark.parametrize(
    "location",
    [
        "",
        "https://[",
        "https://user:secret@h/v1",
        "/login",
        "https://h:99999/",
        "https://h:secret/",
    ],
)
def test_an_odd_redirect_is_told_without_what_it_holds(location: str) -> None:
    text = told(302, location=location)

    assert text.startswith("The server answers HTTP 302: it redirects")
    assert "secret" not in text


@pytest.mark.parametrize(
    ("base_url", "meant"),
    [
        ("http://gpu-1:8000/v1/v1", "http://gpu-1:8000/v1"),
        ("http://gpu-1:8000/v1/v1/", "http://gpu-1:8000/v1"),
        ("http://gpu-1:8000/v1/chat/completions", "http://gpu-1:8000/v1"),
        ("http://gpu-1:8000/v1/models", "http://gpu-1:8000/v1"),
        ("http://gpu-1:8000/chat/completions", "http://gpu-1:8000/v1"),
        ("https://h/eu/v1/completions", "https://h/eu/v1"),
        ("http://gpu-1:8000/docs", "http://gpu-1:8000/v1"),
        ("http://gpu-1:8000/openapi.json", "http://gpu-1:8000/v1"),
    ],
)
@pytest.mark.parametrize("status", [404, 405, 200])
def test_a_base_url_with_a_path_of_the_api_is_told_with_the_one_that_is_meant(
    base_url: str, meant: str, status: int
) -> None:
    assert f": {meant} is probably meant." in told(status, base_url=base_url)


@pytest.mark.parametrize(
    "base_url", ["http://h", "http://h/v1", "http://h/eu", "http://h/v11", "http://h/my-models"]
)
def test_any_other_base_url_is_not_doubted(base_url: str) -> None:
    assert addresses.parse(base_url).meant == ""
    assert "is probably meant" not in told(404, base_url=base_url)


def test_nothing_there_is_told_with_the_path_that_was_asked() -> None:
    assert told(404, base_url="http://h/eu").startswith("Nothing at /eu/v1/models (HTTP 404).")


@given(st.integers(200, 599), st.binary(max_size=200), st.text(max_size=50))
def test_whatever_a_server_answers_becomes_sentences_on_one_line(
    status: int, body: bytes, location: str
) -> None:
    text = told(status, b"<html><title>" + body + b"</title>", location=location)

    assert text.endswith(".") or text.endswith("?")
    assert text.isprintable()
