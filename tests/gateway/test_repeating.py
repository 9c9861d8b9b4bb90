"""A call is sent again only where it was provably not executed: on a stale connection, once."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from gateway.upstream import Waits
from tests.mounted import CHAT, UNHURRIED, chat, error_of, provider
from tests.scripting import json_answer

VLLM_KEEPS_SECONDS = 5.0


def warm(gateway, vllm):
    """One good call, so that a kept-alive connection is there."""
    assert gateway.call("POST", CHAT, chat()).status == 200
    vllm.received.clear()


def test_a_reset_of_a_fresh_connection_is_not_repeated(gateway, vllm):
    vllm.will_reset_before_answer()
    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")
    assert len(vllm.received) == 1


@pytest.mark.parametrize("then", ["reset", "close"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/version"), ("DELETE", "/adapters/a")])
def test_a_fresh_connection_that_ends_is_not_repeated_for_any_method(
    gateway, vllm, method, path, then
):
    gateway.publish(provider(vllm.url, passthrough="control"))
    vllm.will_send(then=then, always=True)
    answer = gateway.call(method, f"/p/alpha{path}")

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")
    assert len(vllm.received) == 1


@pytest.mark.parametrize("then", ["reset", "close"])
@pytest.mark.parametrize("path", [CHAT, "/p/vllm/v1/chat/completions"])
def test_a_kept_connection_that_ends_without_an_answer_is_repeated_once(gateway, vllm, then, path):
    gateway.publish(provider(vllm.url), provider(vllm.url, "beta"))
    warm(gateway, vllm)
    vllm.will_send(then=then)
    body = chat(odd=1.5)
    answer = gateway.call("POST", path, body)

    assert answer.status == 200
    stale, fresh = vllm.received
    assert stale.connection != fresh.connection
    assert stale.body == fresh.body
    assert stale.headers == fresh.headers


def test_it_is_repeated_no_more_than_once(gateway, vllm):
    warm(gateway, vllm)
    vllm.will_reset_before_answer(always=True)
    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")
    assert len(vllm.received) == 2


@pytest.mark.parametrize("then", ["reset", "close"])
@pytest.mark.parametrize(
    "part", [b"H", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\ncontent-le"],
    ids=["a letter", "a line", "half a head"],
)  # fmt: skip
def test_after_any_byte_of_an_answer_nothing_is_repeated(gateway, vllm, part, then):
    warm(gateway, vllm)
    vllm.will_send(part, then=then)
    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")
    assert len(vllm.received) == 1


def test_silence_on_a_kept_connection_is_not_repeated(gateway, vllm):
    warm(gateway, vllm)
    gateway.publish(provider(vllm.url, first_byte_seconds=0.2))
    vllm.will_stall()

    assert gateway.call("POST", CHAT, chat()).status == 504
    vllm.wait_until_left()
    assert len(vllm.received) == 1


def test_a_streamed_upload_is_not_repeated(gateway, vllm):
    warm(gateway, vllm)
    vllm.will_reset_before_answer()
    answer = gateway.call("POST", "/p/alpha/tokenize", b'{"prompt":"x"}')

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")
    assert len(vllm.received) == 1


def test_a_connection_that_the_server_closed_while_idle_costs_no_call(gateway, vllm):
    vllm.will_send(json_answer(200, {}), then="close")
    warm(gateway, vllm)

    assert gateway.call("POST", CHAT, chat()).status == 200
    assert len(vllm.received) == 1


def test_a_restart_of_the_server_costs_no_call(gateway, vllm):
    for _ in range(3):
        warm(gateway, vllm)
        vllm.stop()
        vllm.start()

    assert gateway.call("POST", CHAT, chat()).status == 200
    assert all(line["status"] == 200 for line in gateway.records)


@pytest.mark.parametrize("waits", [replace(UNHURRIED, keep_alive_seconds=0.1)])
def test_a_connection_that_was_idle_for_too_long_is_not_used_again(gateway, vllm):
    warm(gateway, vllm)
    first = gateway.call("POST", CHAT, chat())
    time.sleep(0.2)
    second = gateway.call("POST", CHAT, chat())

    assert (first.status, second.status) == (200, 200)
    before, after = vllm.received
    assert before.connection != after.connection


def test_a_connection_is_given_up_before_vllm_closes_it():
    assert Waits().keep_alive_seconds < VLLM_KEEPS_SECONDS
