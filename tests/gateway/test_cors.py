"""Web pages of other origins: what their browser asks first, and what it may hand to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mounted import CHAT, MODEL, MountedGateway, provider

PAGE = "https://chat.example.com"
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}


def opened(server_thread, vllm, limits, *origins: str) -> MountedGateway:
    gateway = MountedGateway(server_thread, limits, origins=origins)
    gateway.publish(provider(vllm.url))
    return gateway


@pytest.fixture
def gateway(server_thread, vllm, limits) -> Iterator[MountedGateway]:
    """Pages of PAGE may call it."""
    mounted = opened(server_thread, vllm, limits, PAGE, "http://localhost:3000")
    yield mounted
    mounted.close()


@pytest.fixture
def open_gateway(server_thread, vllm, limits) -> Iterator[MountedGateway]:
    mounted = opened(server_thread, vllm, limits, "*")
    yield mounted
    mounted.close()


def preflight(gateway: MountedGateway, target: str, *more: tuple[str, str], origin: str = PAGE):
    asked = [("Origin", origin), ("Access-Control-Request-Method", "POST"), *more]
    return gateway.call("OPTIONS", target, headers=asked, key=None)


@pytest.mark.parametrize("target", [CHAT, "/v1/models", "/p/alpha/tokenize", "/v1/nobody"])
def test_a_preflight_needs_no_key_and_reaches_no_server(gateway, vllm, target):
    wanted = ("Access-Control-Request-Headers", "authorization, x-stainless-lang")

    answer = preflight(gateway, target, wanted)

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers.get("access-control-allow-origin") == PAGE
    assert answer.headers.get("access-control-allow-headers") == "authorization, x-stainless-lang"
    assert "POST" in answer.headers.get("access-control-allow-methods")
    assert answer.headers.get("access-control-allow-credentials") is None
    assert answer.headers.get("vary") == "origin"
    assert vllm.received == []


def test_a_page_of_another_origin_is_told_which_setting_would_let_it_in(gateway):
    answer = preflight(gateway, CHAT, origin="https://evil.example")

    assert answer.status == 403
    assert "https://evil.example" in answer.json["error"]["message"]
    assert "AURORA_CORS_ORIGINS" in answer.json["error"]["message"]
    assert answer.headers.get("access-control-allow-origin") is None


def test_requested_headers_that_are_none_are_not_repeated(gateway):
    odd = ("Access-Control-Request-Headers", "x: \xe9")

    assert preflight(gateway, CHAT, odd).headers.get("access-control-allow-headers") is None


def test_an_answer_a_refusal_and_a_stream_may_be_read_by_the_page(gateway, vllm):
    vllm.will_answer_json(200, {"id": "1"})
    vllm.will_stream(b'data: {"id":1}\n\n', b"data: [DONE]\n\n")
    origin = [("Origin", PAGE)]

    answers = [
        gateway.post(CHAT, ASKED, headers=origin),
        gateway.post(CHAT, ASKED | {"stream": True}, headers=origin),
        gateway.post(CHAT, ASKED, headers=origin, key="nobody's"),
        gateway.call("GET", "/v1/nowhere", headers=origin),
    ]

    assert [answer.status for answer in answers] == [200, 200, 401, 404]
    for answer in answers:
        assert answer.headers.get("access-control-allow-origin") == PAGE
        assert answer.headers.get("access-control-expose-headers") == "*"


def test_a_page_that_is_not_named_gets_no_leave_to_read(gateway, vllm):
    vllm.will_answer_json(200, {"id": "1"})

    answer = gateway.post(CHAT, ASKED, headers=[("Origin", "https://evil.example")])

    assert answer.headers.get("access-control-allow-origin") is None
    assert answer.headers.get("vary") == "origin"


def test_with_a_star_every_page_may(open_gateway):
    assert preflight(open_gateway, CHAT).headers.get("access-control-allow-origin") == "*"
    plain = open_gateway.call("GET", "/v1/models", headers=[("Origin", "null")])
    assert plain.headers.get("access-control-allow-origin") == "*"
    local = ("Access-Control-Request-Private-Network", "true")
    answer = preflight(open_gateway, CHAT, local)
    assert answer.headers.get("access-control-allow-private-network") == "true"


def test_options_without_a_preflight_stays_a_method_like_others(gateway):
    assert gateway.call("OPTIONS", CHAT).status == 405
