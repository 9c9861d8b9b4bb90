"""What vLLM serves for SageMaker: calls of any kind at one path, and a sign of life."""

from __future__ import annotations

import pytest

from tests import recorded
from tests.mounted import MODEL, error_of, provider

INVOCATIONS = "/invocations"


def test_a_stream_is_relayed_event_by_event(gateway, vllm):
    recording = recorded.load("gen_chat_stream")
    vllm.will_replay(recording)

    answer = gateway.post(INVOCATIONS, {"model": MODEL, "messages": [], "stream": True})

    assert answer.chunks == list(recording.reads)


def test_no_header_names_another_model_than_the_body(gateway, vllm):
    """vLLM puts an adapter that this header names in the place of the body's `model`."""
    named = [("X-Amzn-SageMaker-Adapter-Identifier", "another")]

    gateway.post(INVOCATIONS, {"model": MODEL, "messages": []}, headers=named)

    assert not [name for name in vllm.received[0].headers if name.startswith("x-amzn")]


def test_a_server_without_it_is_passed_over(gateway, vllm):
    gateway.publish(
        provider(vllm.url, "a", routes=frozenset({"/v1/chat/completions"})),
        provider(vllm.url, "b", routes=frozenset({INVOCATIONS})),
    )

    answer = gateway.post(INVOCATIONS, {"model": MODEL, "messages": []})

    assert (answer.status, answer.headers["x-aurora-provider"]) == (200, "b")


def test_invocations_do_not_pass_by_the_passthrough(gateway, vllm):
    """vLLM asks for no key there: only what Aurora itself has routed goes."""
    answer = gateway.post(f"/p/alpha{INVOCATIONS}", {"model": MODEL, "messages": []})

    assert (answer.status, error_of(answer)["code"]) == (404, "unknown_path")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_ping_is_answered_without_a_key_and_without_a_server(gateway, vllm, method):
    answer = gateway.call(method, "/ping", key=None)

    assert (answer.status, answer.json) == (200, {"status": "ok"})
    assert vllm.received == vllm.probes == []
