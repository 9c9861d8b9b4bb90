"""Who may call: keys in either header, and what is said to those without one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.mounted import CHAT, MASTER_KEY, chat, error_of, key_of, provider

BEARER = f"Bearer {MASTER_KEY}"
SECOND_KEY = "a-second-secret-of-these-tests"

ACCEPTED = {
    "bearer": [("Authorization", BEARER)],
    "lower case": [("authorization", f"bearer {MASTER_KEY}")],
    "upper case": [("AUTHORIZATION", f"BEARER {MASTER_KEY}")],
    "more spaces": [("Authorization", f"Bearer   {MASTER_KEY}  ")],
    "x-api-key": [("x-api-key", MASTER_KEY)],
    "x-api-key in capitals": [("X-API-KEY", f" {MASTER_KEY} ")],
    "beside a foreign one": [("Authorization", BEARER), ("x-api-key", "wrong")],
    "behind a foreign one": [("Authorization", "Bearer wrong"), ("x-api-key", MASTER_KEY)],
    "behind an empty one": [("Authorization", ""), ("x-api-key", MASTER_KEY)],
    "as Azure's clients send it": [("api-key", MASTER_KEY)],
    "behind a proxy's own login": [
        ("Authorization", "Basic cHJveHk6eA=="),
        ("api-key", MASTER_KEY),
    ],
}
REFUSED = {
    "none": [],
    "unknown": [("Authorization", "Bearer wrong")],
    "unknown x-api-key": [("x-api-key", "wrong")],
    "basic": [("Authorization", f"Basic {MASTER_KEY}")],
    "no scheme": [("Authorization", MASTER_KEY)],
    "scheme alone": [("Authorization", "Bearer")],
    "empty secret": [("Authorization", "Bearer   ")],
    "empty": [("Authorization", "")],
    "empty x-api-key": [("x-api-key", "")],
    "another case": [("Authorization", f"Bearer {MASTER_KEY.upper()}")],
    "a part": [("Authorization", f"Bearer {MASTER_KEY[:-1]}")],
    "more": [("Authorization", f"Bearer {MASTER_KEY}x")],
    "quoted": [("Authorization", f'Bearer "{MASTER_KEY}"')],
    "two": [("Authorization", f"Bearer {MASTER_KEY} {MASTER_KEY}")],
    "letters beyond ASCII": [("Authorization", "Bearer caf\xe9\xff")],
    "very long": [("Authorization", "Bearer " + "x" * 30_000)],
    "in a cookie": [("Cookie", f"key={MASTER_KEY}")],
}


@pytest.mark.parametrize("headers", ACCEPTED.values(), ids=ACCEPTED)
def test_a_key_is_accepted(gateway, headers):
    answer = gateway.call("POST", CHAT, chat(), headers, key=None)

    assert answer.status == 200
    assert gateway.record()["key"] == "…ests"
    assert len(gateway.used_keys) == 1


@pytest.mark.parametrize("headers", REFUSED.values(), ids=REFUSED)
def test_anything_else_is_401_and_goes_nowhere(gateway, vllm, headers):
    answer = gateway.call("POST", CHAT, chat(), headers, key=None)

    error = error_of(answer)
    assert (answer.status, error["type"]) == (401, "authentication_error")
    assert error["code"] == "invalid_api_key"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert vllm.received == []
    assert gateway.used_keys == []
    assert gateway.record()["reason"].startswith("invalid_api_key")
    assert MASTER_KEY not in answer.body.decode()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/models", 401),
        ("GET", "/v1/models/alpha/x", 401),
        ("POST", "/v1/completions", 401),
        ("POST", "/v1/embeddings", 401),
        ("POST", "/p/alpha/tokenize", 401),
        ("GET", "/p/alpha/metrics", 401),
        ("POST", "/p/nobody/tokenize", 401),
        ("GET", "/health", 200),
        ("GET", "/ready", 200),
    ],
)
def test_every_route_but_the_probes_wants_a_key(gateway, vllm, method, path, status):
    body = chat() if method == "POST" else b""
    assert gateway.call(method, path, body, key=None).status == status
    assert vllm.received == []


def test_a_key_in_the_query_is_no_key(gateway):
    answer = gateway.call("GET", f"/v1/models?api_key={MASTER_KEY}&key={MASTER_KEY}", key=None)

    assert answer.status == 401


def test_the_key_is_looked_at_before_the_body(gateway, vllm):
    client = gateway.connect()
    client.send(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 500000\r\n\r\n" % CHAT.encode())

    assert client.read_answer().status == 401
    client.close()


def test_without_any_key_every_call_is_401(gateway, vllm):
    gateway.publish(provider(vllm.url), keys={})

    assert gateway.call("POST", CHAT, chat()).status == 401
    assert gateway.call("GET", "/v1/models").status == 401
    assert vllm.received == []


def test_a_key_works_until_it_expires(gateway, vllm):
    now = datetime.now(UTC)
    keys = {
        MASTER_KEY: key_of(MASTER_KEY, expires=now - timedelta(milliseconds=1)),
        SECOND_KEY: key_of(SECOND_KEY, expires=now + timedelta(minutes=1)),
    }
    gateway.publish(provider(vllm.url), keys=keys)

    assert gateway.call("POST", CHAT, chat()).status == 401
    assert gateway.call("POST", CHAT, chat(), key=SECOND_KEY).status == 200
    assert len(vllm.received) == 1


def test_an_expired_and_an_unknown_key_are_told_the_same(gateway, vllm):
    gateway.publish(
        provider(vllm.url), keys={MASTER_KEY: key_of(MASTER_KEY, expires=datetime.now(UTC))}
    )

    expired = gateway.call("POST", CHAT, chat())
    assert expired.body == gateway.call("POST", CHAT, chat(), key="unknown").body


MANAGER_KEY = "a-manager-secret-of-these-tests"


@pytest.fixture
def manager(gateway, vllm):
    keys = {
        MASTER_KEY: key_of(MASTER_KEY, kind="client"),
        MANAGER_KEY: key_of(MANAGER_KEY, kind="manager"),
    }
    gateway.publish(provider(vllm.url), keys=keys)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", CHAT),
        ("GET", "/v1/models"),
        ("GET", "/v1/responses/resp_1"),
        ("POST", "/p/alpha/tokenize"),
        ("GET", "/p/alpha/metrics"),
    ],
)
def test_a_manager_key_makes_no_calls(gateway, vllm, manager, method, path):
    body = chat() if method == "POST" else b""
    refused = gateway.call(method, path, body, key=MANAGER_KEY)

    assert (refused.status, error_of(refused)["type"]) == (403, "permission_error")
    assert error_of(refused)["code"] == "not_permitted"
    assert "a client or master key" in error_of(refused)["message"]
    assert vllm.received == []


def test_a_manager_key_is_refused_in_the_callers_dialect(gateway, manager):
    refused = gateway.call("POST", "/v1/messages", chat(), key=MANAGER_KEY).json

    assert (refused["type"], refused["error"]["type"]) == ("error", "permission_error")
    assert "a client or master key" in refused["error"]["message"]


def test_a_key_for_calls_suffices_beside_a_manager_key(gateway, manager):
    both = [("Authorization", f"Bearer {MANAGER_KEY}"), ("x-api-key", MASTER_KEY)]

    assert gateway.call("POST", CHAT, chat(), both, key=None).status == 200
