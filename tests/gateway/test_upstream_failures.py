"""A vLLM server that cannot be reached, breaks off or says nothing: what the client is told."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.mounted import CHAT, MASTER_KEY, UPSTREAM_KEY, MountedGateway, chat, error_of, provider
from tests.mounted import request as call_bytes
from tests.raw_http import Answer, CutShortError
from tests.scripting import answer as vllm_answer
from tests.scripting import chunk_bytes, stream_head

BOTH_WAYS = pytest.mark.parametrize(
    ("path", "stream"),
    [(CHAT, False), (CHAT, True), ("/p/alpha/v1/chat/completions", False)],
    ids=["plain", "streamed", "passed through"],
)


def failed(gateway: MountedGateway, path: str, stream: bool, body: bytes = b"") -> Answer:
    """The answer to a call that must fail cleanly, giving nothing away."""
    answer = gateway.call("POST", path, body or chat(stream=stream))
    text = str(answer.pairs) + answer.body.decode()
    assert "alpha" in error_of(answer)["message"]
    assert not any(secret in text for secret in (UPSTREAM_KEY, MASTER_KEY, "127.0.0.1", "://"))
    return answer


def check(gateway: MountedGateway, answer: Answer, status: int, code: str) -> None:
    error = error_of(answer)
    assert (answer.status, error["type"], error["code"]) == (status, "provider_error", code)
    record = gateway.record()
    assert (record["status"], record["provider"]) == (status, "alpha")
    assert record["reason"].startswith(code)


@BOTH_WAYS
def test_a_refused_connection_is_502(gateway, vllm, path, stream):
    vllm.will_refuse()
    answer = failed(gateway, path, stream)

    check(gateway, answer, 502, "upstream_unreachable")
    assert "connection refused" in error_of(answer)["message"]


def test_an_unknown_host_is_502(gateway):
    gateway.publish(provider("http://nowhere.invalid:8000/v1"))
    answer = failed(gateway, CHAT, False)

    check(gateway, answer, 502, "upstream_unreachable")
    assert "nowhere" not in answer.body.decode()


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """The port of a listener that takes no more connections."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def test_a_connection_that_is_not_taken_is_504(gateway):
    with full_backlog() as port:
        gateway.publish(provider(f"http://127.0.0.1:{port}", connect_seconds=0.2))
        answer = failed(gateway, CHAT, False)

    check(gateway, answer, 504, "upstream_connect_timeout")


def test_a_server_that_speaks_no_tls_is_502(gateway, vllm):
    vllm.keep_alive_seconds = 0.1
    gateway.publish(provider(f"https://127.0.0.1:{vllm.port}/v1"))

    check(gateway, failed(gateway, CHAT, False), 502, "upstream_unreachable")


NO_ANSWER: dict[str, tuple[tuple[bytes, ...], str]] = {
    "reset": ((), "reset"),
    "closed": ((), "close"),
    "closed within the head": ((b"HTTP/1.1 200 OK\r\ncontent-le",), "close"),
    "reset within the head": ((b"HTTP/1.1 200 OK\r\ncontent-le",), "reset"),
    "another protocol": ((b"SSH-2.0-OpenSSH_9.2\r\n\r\n",), "close"),
    "another protocol, kept open": ((b"SSH-2.0-OpenSSH_9.2\r\n\r\n",), "stall"),
    "no status": ((b"HTTP/1.1 what ever\r\n\r\n",), "stall"),
    "bad header": ((b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",), "stall"),
    "bad length": ((b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",), "stall"),
    "endless head": ((b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000,), "stall"),
    "no body where one was said": ((vllm_answer(200, [("content-length", "5")]),), "close"),
    "no chunk": ((stream_head(),), "close"),
    "no chunk, reset": ((stream_head(),), "reset"),
    "bad chunk": ((stream_head(), b"zz\r\n"), "stall"),
    "bytes of a TLS alert": ((b"\x15\x03\x01\x00\x02\x02\x46",), "close"),
}


@BOTH_WAYS
@pytest.mark.parametrize("case", NO_ANSWER)
def test_an_answer_that_is_none_is_502_and_asked_for_once(gateway, vllm, case, path, stream):
    writes, then = NO_ANSWER[case]
    vllm.will_send(*writes, then=then, always=True)

    check(gateway, failed(gateway, path, stream), 502, "upstream_broke")
    assert len(vllm.received) == 1


SILENCES: dict[str, dict[str, Any]] = {
    "before the headers": {"before": "headers"},
    "before the body": {"before": "body"},
}


@BOTH_WAYS
@pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES)
def test_silence_before_the_first_byte_is_504(gateway, vllm, silence, path, stream):
    gateway.publish(provider(vllm.url, first_byte_seconds=0.2))
    vllm.will_stall(**silence)

    check(gateway, failed(gateway, path, stream), 504, "upstream_timeout")
    vllm.wait_until_left()
    assert len(vllm.received) == 1


def test_silence_within_the_head_is_504(gateway, vllm):
    gateway.publish(provider(vllm.url, first_byte_seconds=0.25))
    vllm.will_send(b"HTTP/1.1 200 OK\r\ncontent-le", then="stall")

    check(gateway, failed(gateway, CHAT, False), 504, "upstream_timeout")


def test_the_first_byte_may_take_longer_than_the_next(gateway, vllm):
    gateway.publish(provider(vllm.url, idle_seconds=0.1))
    chunk = b"data: 1\n\n"
    vllm.will_send(stream_head(), chunk_bytes(chunk), then="stall", pause_seconds=0.2)

    answer = gateway.call("POST", CHAT, chat(stream=True))

    assert answer.chunks[0] == b"data: 1\n\n"
    assert json.loads(answer.chunks[1][5:])["error"]["code"] == "upstream_timeout"


# Broken off within the answer

HALF = vllm_answer(200, [("content-length", "10"), ("content-type", "application/json")], b"12345")
HALF_CHUNKED = stream_head("application/json") + chunk_bytes(b"12345")
BROKEN: dict[str, tuple[tuple[bytes, ...], str]] = {
    "closed": ((HALF,), "close"),
    "reset": ((HALF,), "reset"),
    "silent": ((HALF,), "stall"),
    "chunked, closed": ((HALF_CHUNKED,), "close"),
    "chunked, closed within a chunk": ((HALF_CHUNKED + b"5\r\n123",), "close"),
    "chunked, closed before its last chunk ends": ((HALF_CHUNKED + b"0\r\n",), "close"),
    "chunked, garbage": ((HALF_CHUNKED, b"zz\r\n"), "close"),
}


@pytest.mark.parametrize("path", [CHAT, "/p/alpha/v1/chat/completions"])
@pytest.mark.parametrize("case", BROKEN)
def test_a_plain_answer_that_breaks_off_is_not_taken_for_a_whole_one(gateway, vllm, case, path):
    writes, then = BROKEN[case]
    if then == "stall":
        gateway.publish(provider(vllm.url, idle_seconds=0.2))
    vllm.will_send(*writes, then=then)
    client = gateway.connect()
    client.send(call_bytes("POST", path, chat()))

    try:
        answer = client.read_answer()
    except (CutShortError, ConnectionResetError) as cut:
        part = getattr(cut, "answer", None)
        assert part is None or b"12345".startswith(part.body)
        assert "broken off" in gateway.record()["reason"]
    else:
        # Nothing had gone out yet, so that there was still a status to say it with.
        assert answer.status in {502, 504}
        assert "alpha" in error_of(answer)["message"]
        assert gateway.record()["reason"].startswith("upstream_")
    assert len(vllm.received) == 1


def test_a_server_that_is_killed_within_a_long_answer_cuts_the_client(gateway, vllm):
    size = 20_000_000
    vllm.will_send(
        vllm_answer(200, [("content-length", str(size))], b"x" * (size // 2)), then="stall"
    )
    client = gateway.connect()
    client.send(call_bytes("POST", CHAT, chat()))
    assert client.read_head().headers["content-length"] == str(size)
    vllm.stop()

    with contextlib.suppress(ConnectionResetError):
        assert len(client.read_rest()) < size
    record = gateway.record()
    assert (record["status"], record["reason"][:10]) == (200, "broken off")


# Upstream's own limits and problems


def test_a_provider_with_a_problem_is_502_and_says_which(gateway, vllm):
    gateway.publish(provider(vllm.url, problem="its key cannot be opened"))
    answer = failed(gateway, CHAT, False)

    check(gateway, answer, 502, "upstream_error")
    assert "its key cannot be opened" in error_of(answer)["message"]
    assert vllm.received == []


def test_a_redirect_is_502_and_not_followed(gateway, vllm):
    vllm.will_answer(307, [("location", "http://127.0.0.1:1/v1/chat/completions/")], always=True)
    answer = failed(gateway, CHAT, False)

    check(gateway, answer, 502, "upstream_error")
    assert "base URL" in error_of(answer)["message"]
    assert "location" not in answer.headers
    assert len(vllm.received) == 1


def test_one_server_that_fails_leaves_the_others_alone(gateway, vllm):
    gateway.publish(provider("http://127.0.0.1:1", "alpha"), provider(vllm.url, "beta"))

    statuses = [gateway.post(CHAT, {"model": f"{name}/meta-llama/Llama-3.1-8B-Instruct"}).status
                for name in ("alpha", "beta", "alpha", "beta")]  # fmt: skip

    assert statuses == [502, 200, 502, 200]
