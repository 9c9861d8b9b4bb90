"""A call whose kept-alive connection had ended is sent again: counted as an attempt, out of the retry
budget, and never where that is empty. One that ended before it was given the call costs nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gateway import failover
from gateway.upstream import Waits
from tests.mounted import CHAT, MODEL, UNHURRIED, MountedGateway, chat, error_of, provider
from tests.processes import eventually
from tests.scripted_vllm import ScriptedVllm
from tests.scripting import Script, json_answer

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


@pytest.fixture
def repeating(server_thread, limits, waits, vllm):
    """A gateway that may repeat as many calls as it has."""
    mounted = MountedGateway(server_thread, limits, waits=waits, of_fleet={"repeated_share": 1.0})
    mounted.publish(provider(vllm.url))
    yield mounted
    mounted.close()


@pytest.mark.parametrize("then", ["reset", "close"])
@pytest.mark.parametrize("path", [CHAT, "/p/vllm/v1/chat/completions"])
def test_a_kept_connection_that_ends_without_an_answer_is_repeated(repeating, vllm, then, path):
    repeating.publish(provider(vllm.url), provider(vllm.url, "beta"))
    warm(repeating, vllm)
    vllm.will_send(then=then)
    answer = repeating.call("POST", path, chat(odd=1.5))

    assert (answer.status, answer.headers["x-aurora-attempts"]) == (200, "2")
    assert repeating.records[-1]["attempts"] == 2
    stale, fresh = vllm.received
    assert stale.connection != fresh.connection
    assert stale.body == fresh.body
    assert stale.headers == fresh.headers


@pytest.mark.parametrize("path", [CHAT, "/p/vllm/v1/chat/completions", "/p/alpha/version"])
def test_without_a_budget_nothing_is_sent_twice(gateway, vllm, path):
    warm(gateway, vllm)
    vllm.will_reset_before_answer(always=True)
    method, body = ("GET", b"") if path.endswith("version") else ("POST", chat())
    answer = gateway.call(method, path, body)

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")
    assert answer.headers["x-aurora-attempts"] == "1"
    assert gateway.records[-1]["attempts"] == len(vllm.received) == 1


def test_a_fresh_connection_that_fails_as_well_ends_it(repeating, vllm):
    """The server is the only one there is, and is asked again after a pause."""
    warm(repeating, vllm)
    vllm.will_reset_before_answer(always=True)
    answer = repeating.call("POST", CHAT, chat())

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_broke")
    assert answer.headers["x-aurora-attempts"] == str(failover.MOST_SENT)
    assert repeating.records[-1]["attempts"] == len(vllm.received) == failover.MOST_SENT


def test_servers_that_reset_see_as_many_calls_as_are_told(repeating):
    """Each had a kept connection. Whatever is repeated below the failover would not be counted."""
    with ScriptedVllm() as one, ScriptedVllm() as two, ScriptedVllm() as three:
        servers = [one, two, three]
        named = zip(("one", "two", "three"), servers, strict=True)
        repeating.publish(*(provider(server.url, name) for name, server in named))
        for name in ("one", "two", "three"):
            assert repeating.post(CHAT, {"model": f"{name}/{MODEL}", "messages": []}).status == 200
        for server in servers:
            server.received.clear()
            server.will_reset_before_answer(always=True)
        answer = repeating.post(CHAT, {"model": MODEL, "messages": []})
        seen = sum(len(server.received) for server in servers)

    assert answer.status == 502
    assert answer.headers["x-aurora-attempts"] == str(seen)
    assert repeating.records[-1]["attempts"] == seen == failover.MOST_SENT


def test_a_server_that_ends_its_kept_connections_costs_one_attempt(repeating, vllm):
    """As a restart does, whose end has not come yet: one that failed stands for all of them."""
    with ThreadPoolExecutor(3) as elsewhere:
        for _ in range(3):
            vllm.will_stream(b"data: 1\n\n", held_after=1)
        kept = [elsewhere.submit(repeating.call, "POST", CHAT, chat(stream=True)) for _ in range(3)]
        eventually(lambda: len(vllm.received) == 3)
        vllm.go_on(3)
        assert [each.result().status for each in kept] == [200, 200, 200]
    vllm.received.clear()
    vllm.answers = lambda call: Script((), "reset") if call.connection <= 3 else None
    answer = repeating.call("POST", CHAT, chat())

    assert (answer.status, answer.headers["x-aurora-attempts"]) == (200, "2")
    assert len(vllm.received) == 2


@pytest.mark.parametrize(
    ("method", "path", "times"),
    [("GET", "/version", 2), ("DELETE", "/adapters/a", 1), ("POST", "/sleep", 1)],
)
def test_what_looks_after_a_server_is_repeated_only_if_it_is_a_question(
    repeating, vllm, method, path, times
):
    repeating.publish(provider(vllm.url, passthrough="control"))
    warm(repeating, vllm)
    vllm.will_reset_before_answer()
    answer = repeating.call(method, f"/p/alpha{path}")

    assert answer.headers["x-aurora-attempts"] == str(times)
    assert repeating.records[-1]["attempts"] == len(vllm.received) == times


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


def test_a_connection_that_the_server_closed_while_idle_costs_no_attempt(gateway, vllm):
    vllm.will_send(json_answer(200, {}), then="close")
    warm(gateway, vllm)

    answer = gateway.call("POST", CHAT, chat())
    assert (answer.status, answer.headers["x-aurora-attempts"]) == (200, "1")
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
