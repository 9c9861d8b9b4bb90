"""The client leaves, the GPU stops: at any point, plain and streamed."""

from __future__ import annotations

import json
import time

import pytest

from tests.mounted import CHAT, MASTER_KEY, MODEL, MountedGateway, chat, provider, request
from tests.raw_http import RawClient
from tests.scripted_vllm import ScriptedVllm
from tests.scripting import LAST_CHUNK, chunk_bytes, stream_head
from tests.scripting import answer as vllm_answer

AS_LONG_AS_IT_TAKES = 60_000
"""So many chunks that a stream does not end before its client is gone."""
PASSED = "/p/alpha/v1/chat/completions"
BY_MODEL = "/p/vllm/v1/chat/completions"

HELLO = [{"role": "user", "content": "Hello"}]

LEAVING = pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
WAYS = pytest.mark.parametrize(
    ("path", "stream"),
    [(CHAT, False), (CHAT, True), (PASSED, False), (PASSED, True), (BY_MODEL, False)],
    ids=["plain", "streamed", "passed through", "passed through, streamed", "passed by model"],
)


@pytest.fixture(autouse=True)
def two_providers(gateway: MountedGateway, vllm: ScriptedVllm) -> None:
    """Two of one type, so that BY_MODEL has to choose."""
    gateway.publish(provider(vllm.url), provider("http://127.0.0.1:1", "omega"))


def called(gateway: MountedGateway, path: str, stream: bool) -> RawClient:
    client = gateway.connect()
    client.send(request("POST", path, chat(stream=stream)))
    return client


def check_left(gateway: MountedGateway, vllm: ScriptedVllm, status: int) -> None:
    """To be called after the client left. Nothing else ends the call: no limit is reached."""
    vllm.wait_until_left()
    record = gateway.record()
    assert (record["status"], record["reason"]) == (status, "the client left")
    assert record["provider"] == "alpha"
    gateway.wait_until_idle()
    assert len(vllm.left_at) == 1


@LEAVING
@WAYS
def test_the_client_leaves_before_the_headers(gateway, vllm, path, stream, leave):
    vllm.will_stall()
    client = called(gateway, path, stream)
    vllm.wait_until_received()
    getattr(client, leave)()

    check_left(gateway, vllm, status=0)


@LEAVING
@WAYS
def test_the_client_leaves_before_the_first_piece(gateway, vllm, path, stream, leave):
    vllm.will_stall("body")
    client = called(gateway, path, stream)
    vllm.wait_until_received()
    gateway.wait_until_relaying()
    getattr(client, leave)()

    check_left(gateway, vllm, status=0)


@LEAVING
@pytest.mark.parametrize("path", [CHAT, PASSED, BY_MODEL])
def test_the_client_leaves_within_a_stream(gateway, vllm, path, leave):
    vllm.will_stall(after_chunks=[b"data: 1\n\n", b"data: 2\n\n"])
    client = called(gateway, path, stream=True)
    client.read_head()
    assert [client.read_chunk(), client.read_chunk()] == [b"data: 1\n\n", b"data: 2\n\n"]
    getattr(client, leave)()

    check_left(gateway, vllm, status=200)


@LEAVING
def test_the_client_leaves_while_chunks_are_coming(gateway, vllm, leave):
    vllm.will_stream(*[b"data: 1\n\n"] * AS_LONG_AS_IT_TAKES, pause_seconds=0.002)
    client = called(gateway, CHAT, stream=True)
    client.read_head()
    for _ in range(5):
        client.read_chunk()
    getattr(client, leave)()

    check_left(gateway, vllm, status=200)


@LEAVING
@pytest.mark.parametrize("path", [CHAT, PASSED])
def test_the_client_leaves_within_a_plain_answer(gateway, vllm, path, leave):
    head = vllm_answer(200, [("content-length", "10000000")])
    vllm.will_send(head + b"x" * 1_000_000, then="stall")
    client = called(gateway, path, stream=False)
    client.read_head()
    getattr(client, leave)()

    check_left(gateway, vllm, status=200)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_a_client_that_reads_nothing_holds_vllm_back_and_may_leave(gateway, vllm, leave):
    """A stream without end: what the client does not take is not fetched, let alone kept."""
    chunk = b"data: %b\n\n" % (b"x" * 60_000)
    vllm.will_send(stream_head(), *[chunk_bytes(chunk)] * 1000, then="stall")
    client = called(gateway, CHAT, stream=True)
    client.read_head()
    time.sleep(0.2)  # for what should not be fetched
    assert gateway.running()["connections"] == 1
    getattr(client, leave)()

    check_left(gateway, vllm, status=200)
    assert gateway.record()["bytes"] < 20_000_000


@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        ("close", "The body ended before its length was reached"),
        ("reset", "the client left within its body"),
    ],
)
def test_the_client_leaves_within_an_upload_that_is_passed_on(gateway, vllm, leave, reason):
    """vLLM has its part of the body already; it must see the end of the connection too."""
    client = gateway.connect()
    client.send(
        f"POST /p/alpha/tokenize HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {MASTER_KEY}\r\n"
        "Content-Length: 1000\r\n\r\n".encode()
        + b"x" * 500
    )
    gateway.wait_until(lambda running: running["connections"] == 1)
    getattr(client, leave)()

    record = gateway.record()
    assert (record["status"], record["provider"]) == (0, "alpha")
    assert record["reason"] == reason
    gateway.wait_until_idle()
    assert vllm.received == []


@pytest.mark.parametrize("path", [CHAT, BY_MODEL])
def test_a_client_that_leaves_within_its_body_never_reaches_vllm(gateway, vllm, path):
    client = gateway.connect()
    client.send(request("POST", path, chat())[:-5])
    gateway.wait_until_calls(1)
    client.close()

    record = gateway.record()
    assert (record["status"], record["provider"]) == (0, "")
    assert record["reason"] == "The body ended before its length was reached"
    assert vllm.received == []


def test_the_connection_of_a_client_that_left_is_not_used_again(gateway, vllm):
    vllm.will_stall(after_chunks=[b"data: 1\n\n"])
    client = called(gateway, CHAT, stream=True)
    client.read_head()
    client.close()
    vllm.wait_until_left()

    assert gateway.call("POST", CHAT, chat()).status == 200
    assert len({seen.connection for seen in vllm.received}) == 2


def test_a_client_that_leaves_after_its_answer_has_not_left_it(gateway, vllm):
    client = called(gateway, CHAT, stream=True)
    assert client.read_answer().chunks[-1] == b"data: [DONE]\n\n"
    client.close()

    assert "reason" not in gateway.record()
    assert gateway.call("POST", CHAT, chat()).status == 200
    assert {seen.connection for seen in vllm.received} == {1}


def test_a_pipelined_call_waits_for_the_one_before_and_goes_with_its_client(gateway, vllm):
    vllm.will_stall(always=True)
    client = gateway.connect()
    client.send(request("POST", CHAT, chat()) * 3)
    vllm.wait_until_received()
    time.sleep(0.05)  # for those that should not come
    client.close()

    check_left(gateway, vllm, status=0)
    assert len(vllm.received) == 1


def test_fifty_clients_that_leave_leave_nothing_behind(gateway, vllm):
    vllm.will_stall(after_chunks=[b"data: 1\n\n"], always=True)
    clients = [called(gateway, CHAT, stream=True) for _ in range(50)]
    for client in clients:
        client.read_head()
    gateway.wait_until(lambda running: running == {"calls": 50, "tasks": 100, "connections": 50})
    for client in clients:
        client.close()

    for _ in clients:
        vllm.wait_until_left()
    gateway.wait_until_idle()
    assert [line["reason"] for line in gateway.records] == ["the client left"] * 50


def test_who_has_the_whole_answer_may_leave(gateway, vllm):
    """The server says all, and only later that it was all."""
    gateway.publish(provider(vllm.url, translation="always"))
    chunk = (
        b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}'
    )
    said = (chunk_bytes(chunk + b"\n\n"), chunk_bytes(b"data: [DONE]\n\n"))
    vllm.will_send(stream_head() + b"".join(said), LAST_CHUNK, held_after=1)
    client = gateway.connect()
    body = {"model": MODEL, "max_tokens": 9, "stream": True, "messages": HELLO}
    client.send(request("POST", "/v1/messages", json.dumps(body).encode()))

    assert b"message_stop" in client.read_answer().body
    client.close()
    assert gateway.call("GET", "/health").status == 200  # by now its leaving is known
    vllm.go_on()

    assert [line.get("reason") for line in gateway.records] == [None, None]
