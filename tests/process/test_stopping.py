"""SIGTERM: what runs may finish, nothing new begins."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.process.running import LIVE_SECONDS
from tests.processes import eventually
from tests.raw_http import RawClient, request_bytes
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-stopping-0123456789"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
EVENTS = [*(b'data: {"n":%d}\n\n' % number for number in range(8)), b"data: [DONE]\n\n"]
BODY = b'{"model": "%s", "messages": [], "stream": true}' % MODEL.encode()


def test_a_stream_finishes_and_nothing_new_begins(serve, vllm: ScriptedVllm) -> None:
    aurora = serve(AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=vllm.url)
    eventually(lambda: aurora.get("/ready").is_success, LIVE_SECONDS)
    vllm.will_stream(*EVENTS, pause_seconds=0.2)
    authorization = [("Authorization", f"Bearer {MASTER_KEY}")]
    with RawClient("127.0.0.1", aurora.port) as client:
        client.send(request_bytes("POST", "/v1/chat/completions", authorization, BODY))
        status = client.read_head().start[1]
        first = client.read_chunk()

        aurora.signal()

        with pytest.raises(httpx.ConnectError):
            eventually(lambda: not aurora.get("/health"), 5.0)
        assert not aurora.ended
        rest = list(iter(client.read_chunk, b""))
        assert client.read_rest() == b""
    assert (status, [first, *rest]) == ("200", EVENTS)
    assert aurora.wait(2) == 0


def test_an_idle_process_stops_within_two_seconds(serve) -> None:
    aurora = serve()
    with RawClient("127.0.0.1", aurora.port) as idle:
        idle.send(request_bytes("GET", "/health"))
        assert idle.read_answer().status == 200
        aurora.signal()
        began = time.monotonic()

        assert idle.read_rest() == b""
        assert aurora.wait() == 0
    assert time.monotonic() - began < 2
