"""Bodies that pass while they come, in both directions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests import recorded
from tests.gateway.raw_upstream import RawUpstream
from tests.mounted import MASTER_KEY, NO_HURRY, MountedGateway, error_of, provider, request
from tests.raw_http import RawClient

MIB = 2**20
ROOMY = pytest.mark.parametrize("limits", [replace(NO_HURRY, body_bytes=8 * MIB)])
ROOMIEST = pytest.mark.parametrize("limits", [replace(NO_HURRY, body_bytes=64 * MIB)])
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}"


@pytest.fixture
def upstream(gateway: MountedGateway) -> Iterator[RawUpstream]:
    with RawUpstream() as server:
        gateway.publish(provider(server.url))
        yield server


def begin(gateway: MountedGateway, *fields: str) -> RawClient:
    client = gateway.connect()
    lines = [
        "POST /p/alpha/v1/audio/transcriptions HTTP/1.1",
        "Host: aurora.test",
        f"Authorization: Bearer {MASTER_KEY}",
        *fields,
    ]
    client.send("\r\n".join([*lines, "", ""]).encode())
    return client


@ROOMY
def test_an_upload_arrives_while_it_is_being_sent(gateway, upstream):
    client = begin(gateway, f"Content-Length: {5 * MIB}", "Content-Type: multipart/form-data")
    piece = bytes(range(256)) * 256
    client.send(piece)

    head = upstream.read_head().lower()
    assert upstream.read(len(piece)) == piece  # and the client has 79 more to send
    assert b"content-length: %d\r\n" % (5 * MIB) in head
    assert b"content-type: multipart/form-data\r\n" in head
    assert b"transfer-encoding" not in head

    for _ in range(5 * MIB // len(piece) - 1):
        client.send(piece)
        assert upstream.read(len(piece)) == piece
    upstream.send(OK)
    assert client.read_answer().status == 200


@ROOMY
def test_an_upload_without_a_length_arrives_in_chunks(gateway, upstream):
    client = begin(gateway, "Transfer-Encoding: chunked")
    client.send(b"5\r\nhello\r\n")

    head = upstream.read_head().lower()
    assert upstream.read(10) == b"5\r\nhello\r\n"
    assert b"transfer-encoding: chunked\r\n" in head
    assert b"content-length" not in head
    client.send(b"0\r\n\r\n")
    assert upstream.read(5) == b"0\r\n\r\n"
    upstream.send(OK)
    assert client.read_answer().body == b"{}"


def test_a_call_without_a_body_is_sent_without_one(gateway, upstream):
    client = gateway.connect()
    client.send(request("GET", "/p/alpha/version"))

    head = upstream.read_head().lower()
    upstream.send(OK)
    assert head.startswith(b"get /version http/1.1\r\n")
    assert b"transfer-encoding" not in head
    assert b"content-length: 0" in head or b"content-length" not in head
    assert client.read_answer().status == 200


def test_an_empty_body_may_say_so(gateway, upstream):
    client = begin(gateway, "Content-Length: 0")

    head = upstream.read_head().lower()
    upstream.send(OK)
    assert b"content-length: 0\r\n" in head
    assert b"transfer-encoding" not in head
    assert client.read_answer().status == 200


@pytest.mark.parametrize("leave", ["close", "reset", "half_close"])
def test_a_client_that_leaves_within_its_upload_takes_the_upstreams_connection_along(
    gateway, upstream, leave
):
    client = begin(gateway, "Content-Length: 100000")
    client.send(b"x" * 500)
    upstream.read_head()
    assert upstream.read(500)
    getattr(client, leave)()

    assert upstream.left()
    assert gateway.record()["reason"]


@pytest.mark.parametrize("limits", [replace(NO_HURRY, body_bytes=1000)])
def test_an_upload_that_grows_too_large_is_broken_off_on_both_sides(gateway, upstream):
    client = begin(gateway, "Transfer-Encoding: chunked")
    client.send(b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    upstream.read_head()
    assert upstream.read(1007)
    client.send(b"1\r\nx\r\n")

    assert client.read_answer().status == 413
    assert upstream.left()


@pytest.mark.parametrize("limits", [replace(NO_HURRY, upload_stall_seconds=0.2)])
def test_an_upload_that_stalls_is_broken_off_on_both_sides(gateway, upstream):
    client = begin(gateway, "Content-Length: 1000")
    client.send(b"x" * 10)
    upstream.read_head()

    assert client.read_answer().status == 408
    assert upstream.left()


@ROOMY
def test_an_answer_may_come_before_the_end_of_the_upload(gateway, upstream):
    """vLLM refuses an upload by its head: the client is told, and need not send the rest."""
    client = begin(gateway, f"Content-Length: {5 * MIB}")
    client.send(b"x" * 1000)
    upstream.read_head()
    refusal = b'{"error":{"message":"too long","type":"BadRequestError","param":null,"code":400}}'
    upstream.send(
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
        % (len(refusal), refusal)
    )

    answer = client.read_answer()
    assert (answer.status, answer.body) == (400, refusal)
    client.close()


@ROOMIEST
def test_an_upstream_that_takes_nothing_holds_the_client_back(gateway, upstream):
    """Of an upload that is not taken only a little is kept: the client's sending blocks once the
    sockets' own buffers, some 10 MiB on loopback, are full."""
    client = gateway.connect(timeout_seconds=0.3)
    client.send(
        f"POST /p/alpha/tokenize HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {MASTER_KEY}\r\n"
        f"Content-Length: {64 * MIB}\r\n\r\n".encode()
        + b"x"
    )
    upstream.read_head()
    sent = 1
    with contextlib.suppress(TimeoutError):
        while sent < 64 * MIB:
            client.send(b"x" * 65_536)
            sent += 65_536
    assert sent < 32 * MIB
    client.close()


@ROOMIEST
def test_an_upload_that_is_not_taken_is_504(gateway, upstream):
    gateway.publish(provider(upstream.url, first_byte_seconds=0.2))
    client = begin(gateway, f"Content-Length: {64 * MIB}")
    with contextlib.suppress(ConnectionError):
        client.send(b"x" * (64 * MIB))

    with contextlib.suppress(ConnectionError):
        assert client.read_answer().status == 504
    assert gateway.record()["reason"].startswith("upstream_timeout")


# Answers


@pytest.mark.parametrize(
    "name",
    recorded.one_of_a_kind(
        name
        for name in recorded.names()
        if recorded.load(name).status == 200
        and recorded.load(name).method == "POST"
        and name != "raw_pipelined"
        and recorded.load(name).path != "/invocations"  # never passes
    ),
)
def test_a_recorded_answer_passes_as_it_was(gateway, vllm, name):
    recording = recorded.load(name)
    vllm.will_replay(recording)

    answer = gateway.call("POST", f"/p/alpha{recording.path}", recording.request_body)

    assert (answer.status, answer.body) == (200, recording.body)
    if recording.streamed:
        assert tuple(answer.chunks) == recording.reads
    assert vllm.received[0].path == recording.path
    assert vllm.received[0].body == recording.request_body


def test_a_binary_answer_passes_as_it_is(gateway, vllm):
    body = bytes(range(256)) * 1000
    vllm.will_answer(
        200, [("content-type", "application/octet-stream"), ("metadata", '{"a":1}')], body
    )

    answer = gateway.call("POST", "/p/alpha/v1/embeddings", b"{}")

    assert (answer.body, answer.headers["metadata"]) == (body, '{"a":1}')
    assert answer.headers["content-type"] == "application/octet-stream"


def test_metrics_pass_as_text(gateway, vllm):
    vllm.metrics.will_answer(200, [("content-type", "text/plain; version=1.0.0")], b"vllm:x 1\n")

    answer = gateway.call("GET", "/p/alpha/metrics")

    assert (answer.body, answer.headers["content-type"]) == (
        b"vllm:x 1\n",
        "text/plain; version=1.0.0",
    )


def test_an_answer_without_a_body_ends(gateway, vllm):
    vllm.will_send(b"HTTP/1.1 204 No Content\r\n\r\n")
    client = gateway.connect()
    client.send(request("POST", "/p/alpha/tokenize", b"{}"))

    head = client.read_head()
    assert head.start[1] == "204"
    assert not {"transfer-encoding", "content-length"} & set(head.headers)
    client.send(request("GET", "/health"))
    assert client.read_answer().json == {"status": "ok"}


def test_a_stream_passes_chunk_for_chunk(gateway, vllm):
    vllm.will_stream(b"event: a\ndata: 1\n\n", b"data: 2", b"\n\n")

    answer = gateway.call("POST", "/p/alpha/v1/responses", b"{}")

    assert answer.chunks == [b"event: a\ndata: 1\n\n", b"data: 2", b"\n\n"]


@pytest.mark.parametrize("status", [400, 404, 500])
def test_an_error_passes_as_vllm_worded_it(gateway, vllm, status):
    body = b'{"error": {"message": "no", "type": "BadRequestError", "param": null, "code": 1}}'
    vllm.will_answer(status, [("content-type", "application/json")], body)

    answer = gateway.call("POST", "/p/alpha/tokenize", b"{}")

    assert (answer.status, answer.body) == (status, body)


def test_a_provider_that_cannot_be_reached_is_502(gateway):
    gateway.publish(provider("http://127.0.0.1:1/v1"))
    answer = gateway.call("POST", "/p/alpha/tokenize", b"{}")

    assert (answer.status, error_of(answer)["code"]) == (502, "upstream_unreachable")
