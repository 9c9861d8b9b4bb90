"""Uploads that are too large, too slow, or shorter than they said."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.mounted import CHAT, MASTER_KEY, MODEL, NO_HURRY, MountedGateway, error_of
from tests.raw_http import RawClient

SMALL = pytest.mark.parametrize("limits", [replace(NO_HURRY, body_bytes=1000)])
HASTY = pytest.mark.parametrize("limits", [replace(NO_HURRY, upload_stall_seconds=0.1)])
EVERY_WAY = pytest.mark.parametrize("path", [CHAT, "/p/alpha/tokenize", "/p/vllm/tokenize"])

BODY = b'{"model":"alpha/%b"' % MODEL.encode()


def head(path: str, *fields: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Authorization: Bearer {MASTER_KEY}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def begin(gateway: MountedGateway, path: str, *fields: str) -> RawClient:
    client = gateway.connect()
    client.send(head(path, *fields))
    return client


# Too large


@SMALL
@EVERY_WAY
def test_a_body_said_to_be_too_large_is_413_before_it_is_sent(gateway, vllm, path):
    client = begin(gateway, path, "Content-Length: 1001")

    answer = client.read_answer()
    error = error_of(answer)
    assert (answer.status, error["code"]) == (413, "body_too_large")
    assert "1000 bytes" in error["message"]
    assert answer.headers["connection"] == "close"
    assert vllm.received == []
    assert gateway.record()["reason"].startswith("body_too_large")
    client.close()


@SMALL
def test_a_client_that_waits_for_leave_is_told_413_not_100(gateway):
    client = begin(gateway, CHAT, "Content-Length: 999999999999", "Expect: 100-continue")

    assert client.read_head().start[1] == "413"
    client.close()


def test_a_client_that_waits_for_leave_gets_it(gateway, vllm):
    body = BODY + b"}"
    client = begin(gateway, CHAT, f"Content-Length: {len(body)}", "Expect: 100-continue")
    assert client.read_head().start[1] == "100"
    client.send(body)

    assert client.read_answer().status == 200
    assert "expect" not in vllm.received[0].headers


@SMALL
@EVERY_WAY
def test_a_chunked_body_is_413_soon_after_it_passes_the_limit(gateway, vllm, path):
    client = begin(gateway, path, "Transfer-Encoding: chunked")
    client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")  # the limit, to the byte
    gateway.wait_until_calls(1)
    client.send(b"1\r\nx\r\n")

    answer = client.read_answer()
    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert vllm.received == []
    client.close()


@SMALL
@EVERY_WAY
@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_as_large_as_the_limit_is_taken(gateway, vllm, path, chunked):
    body = BODY + b',"x":"' + b"x" * (1000 - len(BODY) - 8) + b'"}'
    assert len(body) == 1000
    if chunked:
        client = begin(gateway, path, "Transfer-Encoding: chunked")
        client.send(b"3e8\r\n" + body + b"\r\n0\r\n\r\n")
    else:
        client = begin(gateway, path, "Content-Length: 1000")
        client.send(body)

    assert client.read_answer().status == 200
    assert len(vllm.received) == 1


@SMALL
def test_a_client_that_goes_on_sending_can_still_read_its_413(gateway):
    client = begin(gateway, CHAT, "Content-Length: 5000000")
    client.send(b"x" * 5_000_000)

    assert client.read_answer().status == 413


# Too slow


@HASTY
@EVERY_WAY
@pytest.mark.parametrize("sent", [b"", b'{"model"'], ids=["nothing", "a part"])
def test_an_upload_that_stalls_is_408(gateway, vllm, path, sent):
    client = begin(gateway, path, "Content-Length: 100")
    client.send(sent)

    answer = client.read_answer()
    assert (answer.status, error_of(answer)["code"]) == (408, "upload_stalled")
    assert vllm.received == []
    assert gateway.record()["reason"].startswith("upload_stalled")
    client.close()


@HASTY
@EVERY_WAY
def test_an_upload_of_single_bytes_is_408_though_it_never_stalls(gateway, vllm, path):
    client = begin(gateway, path, "Content-Length: 100000")
    with dripping(client):
        answer = client.read_answer()

    assert (answer.status, error_of(answer)["code"]) == (408, "upload_stalled")
    assert vllm.received == []
    client.close()


@contextlib.contextmanager
def dripping(client: RawClient) -> Iterator[None]:
    """Meanwhile a byte is sent every 20 ms: no silence, but 50 bytes/s."""
    enough = threading.Event()

    def drip() -> None:
        with contextlib.suppress(OSError):
            while not enough.wait(0.02):
                client.send(b"{")

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


@HASTY
def test_the_upload_limit_does_not_end_a_slow_answer(gateway, vllm):
    vllm.will_stream(b"data: 1\n\n", b"data: 2\n\n", pause_seconds=0.15)
    body = BODY + b"}"
    client = gateway.connect()
    client.send(head(CHAT, f"Content-Length: {len(body)}") + body)  # at once: it must not stall

    assert client.read_answer().chunks == [b"data: 1\n\n", b"data: 2\n\n"]


# Too short


@EVERY_WAY
def test_a_body_that_ends_before_its_length_is_400(gateway, vllm, path):
    client = begin(gateway, path, "Content-Length: 100")
    client.send(BODY + b"}")
    client.half_close()

    answer = client.read_answer()
    assert answer.status == 400
    assert error_of(answer)["type"] == "invalid_request_error"
    assert client.read_rest() == b""
    assert vllm.received == []
    assert "body" in gateway.record()["reason"]


@EVERY_WAY
def test_a_chunked_body_without_its_end_is_400(gateway, vllm, path):
    client = begin(gateway, path, "Transfer-Encoding: chunked")
    client.send(b"5\r\n12345\r\n")
    client.half_close()

    assert client.read_answer().status == 400
    assert vllm.received == []
    assert "body" in gateway.record()["reason"]


@EVERY_WAY
@pytest.mark.parametrize(
    ("leave", "reason"),
    [
        ("close", "The body ended before its length was reached"),
        ("reset", "the client left within its body"),
    ],
)
def test_a_client_that_leaves_within_its_body_is_only_logged(gateway, vllm, path, leave, reason):
    client = begin(gateway, path, "Content-Length: 100")
    client.send(BODY)
    gateway.wait_until_calls(1)
    getattr(client, leave)()

    record = gateway.record()
    assert (record["status"], record["bytes"]) == (0, 0)
    assert record["reason"] == reason
    assert vllm.received == []


@EVERY_WAY
@pytest.mark.parametrize("chunk", [b"zz\r\n", b"-1\r\n", b"5\r\n123456789\r\n", b"\r\n"])
def test_a_malformed_chunk_is_400(gateway, vllm, path, chunk):
    client = begin(gateway, path, "Transfer-Encoding: chunked")
    client.send(chunk)

    answer = client.read_answer()
    assert answer.status == 400
    assert error_of(answer)["message"].startswith("The chunked body is malformed")
    assert vllm.received == []


@EVERY_WAY
@pytest.mark.parametrize("fields", [[], ["X-Request-Id: of-the-client"]], ids=["own", "given"])
def test_all_that_is_said_of_a_malformed_chunk_has_one_reason_and_one_id(gateway, path, fields):
    client = begin(gateway, path, "Transfer-Encoding: chunked", *fields)
    client.send(b"5\r\n12345\r\n")
    gateway.wait_until_calls(1)
    client.send(b"zz\r\n")

    answer, call = client.read_answer(), gateway.record()
    [refused] = gateway.lines("aurora.server", having="reason")
    assert call["reason"] == refused["reason"] == error_of(answer)["message"]
    assert call["request_id"] == refused["request_id"] == answer.headers["x-request-id"]
    assert not fields or call["request_id"] == "of-the-client"


def test_what_follows_a_body_is_the_next_request(gateway, vllm):
    body = BODY + b"}"
    client = begin(gateway, CHAT, f"Content-Length: {len(body)}")
    client.send(body + b"garbage\r\n\r\n")

    assert client.read_answer().status == 200
    assert client.read_answer().status == 400
