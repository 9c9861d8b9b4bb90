"""SIGTERM: what runs may finish, nothing new begins."""

from __future__ import annotations

import httpx

from tests.process.running import Aurora
from tests.processes import eventually
from tests.raw_http import RawClient, request_bytes
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-stopping-0123456789"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
EVENTS = [*(b'data: {"n":%d}\n\n' % number for number in range(8)), b"data: [DONE]\n\n"]
BODY = b'{"model": "%s", "messages": [], "stream": true}' % MODEL.encode()


def is_refused(aurora: Aurora) -> bool:
    try:
        aurora.get("/health")
    except httpx.ConnectError:
        return True
    except httpx.TransportError:  # it was on its way in when the door was shut
        return False
    return False


def test_a_stream_finishes_and_nothing_new_begins(serve, vllm: ScriptedVllm) -> None:
    aurora = serve(AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=vllm.url)
    eventually(lambda: aurora.get("/ready").is_success)
    vllm.will_stream(*EVENTS, held_after=1)
    authorization = [("Authorization", f"Bearer {MASTER_KEY}")]
    with RawClient("127.0.0.1", aurora.port) as client:
        client.send(request_bytes("POST", "/v1/chat/completions", authorization, BODY))
        status = client.read_head().start[1]
        first = client.read_chunk()

        aurora.signal()

        eventually(lambda: is_refused(aurora))
        assert not aurora.ended
        vllm.go_on()
        rest = list(iter(client.read_chunk, b""))
        assert client.read_rest() == b""
    assert (status, [first, *rest]) == ("200", EVENTS)
    assert aurora.wait() == 0


def test_an_idle_process_stops_though_a_client_keeps_its_connection(serve) -> None:
    aurora = serve()
    with RawClient("127.0.0.1", aurora.port) as idle:
        idle.send(request_bytes("GET", "/health"))
        assert idle.read_answer().status == 200
        aurora.signal()

        assert idle.read_rest() == b""
        assert aurora.wait() == 0


def test_ready_is_503_before_calls_are_refused(serve, vllm: ScriptedVllm) -> None:
    aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=vllm.url, AURORA_STOP_DELAY_SECONDS="600"
    )
    eventually(lambda: aurora.get("/ready").is_success)

    aurora.signal()

    eventually(lambda: aurora.get("/ready").status_code == 503)
    assert aurora.get("/health").is_success
    assert aurora.chat(MASTER_KEY, MODEL).is_success
    aurora.signal()
    assert aurora.wait() == 0


def test_a_stream_that_outlasts_the_drain_ends_with_an_error_event(
    serve, vllm: ScriptedVllm
) -> None:
    aurora = serve(AURORA_MASTER_KEY=MASTER_KEY, VLLM_BASE_URL=vllm.url, AURORA_DRAIN_SECONDS="1")
    eventually(lambda: aurora.get("/ready").is_success)
    vllm.will_stall(after_chunks=EVENTS[:1])
    authorization = [("Authorization", f"Bearer {MASTER_KEY}")]
    with RawClient("127.0.0.1", aurora.port) as client:
        client.send(request_bytes("POST", "/v1/chat/completions", authorization, BODY))
        client.read_head()
        first = client.read_chunk()

        aurora.signal()

        rest = b"".join(iter(client.read_chunk, b""))
    assert first == EVENTS[0]
    assert b'"code":"stopping"' in rest
    assert aurora.wait() == 0
