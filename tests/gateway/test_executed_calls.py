"""A call that may have been executed is repeated by nobody: not by Aurora, not by the client."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.mounted import CHAT, UNHURRIED, chat, provider


@pytest.mark.parametrize("waits", [replace(UNHURRIED, stale_seconds=0.1)])
def test_a_kept_connection_that_ends_after_a_while_had_been_at_work_on_the_call(gateway, vllm):
    assert gateway.call("POST", CHAT, chat()).status == 200
    vllm.received.clear()
    vllm.will_send(b"", b"", then="close", pause_seconds=0.2)
    answer = gateway.call("POST", CHAT, chat())

    assert answer.status == 502
    assert len(vllm.received) == 1


@pytest.mark.parametrize(
    ("end", "code"), [("close", "upstream_broke"), ("silence", "upstream_timeout")]
)
def test_a_client_is_told_not_to_repeat_what_may_have_been_executed(gateway, vllm, end, code):
    if end == "close":
        vllm.will_send(then="close")
    else:
        gateway.publish(provider(vllm.url, first_byte_seconds=0.2))
        vllm.will_stall()
    answer = gateway.call("POST", CHAT, chat())

    assert answer.json["error"]["code"] == code
    assert answer.headers["x-should-retry"] == "false"


def test_a_client_may_repeat_what_was_never_sent(gateway, vllm):
    vllm.stop()
    answer = gateway.call("POST", CHAT, chat())

    assert answer.json["error"]["code"] == "upstream_unreachable"
    assert "x-should-retry" not in answer.headers


@pytest.mark.parametrize("waits", [replace(UNHURRIED, refusal_seconds=0.2)])
def test_a_refusal_that_never_ends_is_answered_for_in_time(gateway, vllm):
    """Each byte comes within the idle limit, so that alone would wait for hours."""
    head = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 100000\r\n\r\n"
    vllm.will_send(head, *[b"x"] * 50_000, then="stall", pause_seconds=0.01)
    answer = gateway.call("POST", CHAT, chat())

    assert (answer.status, answer.json["error"]["code"]) == (500, "upstream_500")
