"""What the gateway's limits do for the application beside it, whoever reads the body there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from aurora_site import pages
from gateway.bounded import AT_ONCE, MOST_UPLOADING, Bounded
from gateway.client import Limits
from tests.mounted import NO_HURRY, error_of
from tests.processes import eventually
from tests.raw_http import RawClient, request_bytes
from tests.serving import ServerThread

Connect = Callable[[], RawClient]
LIMITS = replace(NO_HURRY, body_bytes=1000)
HASTY = replace(NO_HURRY, body_bytes=1000, upload_stall_seconds=0.2)
LOGIN = "/admin/login/"
IN_HASTE = pytest.mark.parametrize("limits", [HASTY])
CHUNKED = ("Transfer-Encoding", "chunked")


class Reading:
    """An application that reads every body to its end, and keeps what it was given."""

    def __init__(self) -> None:
        self.taken = b""
        self.whole: list[bytes] = []
        self.disconnects = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.disconnects += 1
                return
            self.taken += message["body"]
            more = message["more_body"]
        self.whole.append(self.taken)
        self.taken = b""
        headers = [(b"content-type", b"text/plain"), (b"x-odd", b"1")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": b"read", "more_body": True})
        await send({"type": "http.response.body", "body": b" whole"})


@pytest.fixture
def reading() -> Reading:
    return Reading()


@pytest.fixture
def limits() -> Limits:
    return LIMITS


@pytest.fixture
def connect(server_thread: ServerThread, reading: Reading, limits: Limits) -> Iterator[Connect]:
    """Opens connections to `reading` behind `limits`."""
    url = server_thread.start(Bounded(reading, limits), drain_seconds=0.05)
    clients: list[RawClient] = []

    def connected() -> RawClient:
        clients.append(RawClient("127.0.0.1", urlsplit(url).port or 0))
        return clients[-1]

    yield connected
    for client in clients:
        client.close()
    server_thread.stop(url)


def test_a_body_within_the_limits_and_its_answer_pass_as_they_are(connect, reading):
    client = connect()
    body = bytes(range(250)) * 4
    client.send(request_bytes("POST", LOGIN, body=body))

    answer = client.read_answer()
    assert reading.whole == [body]
    assert (answer.status, answer.body) == (201, b"read whole")
    assert (answer.headers["content-type"], answer.headers["x-odd"]) == ("text/plain", "1")


def test_a_body_said_to_be_too_large_is_413_and_reaches_nobody(connect, reading):
    client = connect()
    client.send(request_bytes("POST", LOGIN, [("Content-Length", "1001")]))

    answer = client.read_answer()
    error = error_of(answer)
    assert (answer.status, error["code"]) == (413, "body_too_large")
    assert "1000 bytes" in error["message"]
    assert (reading.whole, reading.taken) == ([], b"")


def test_chunks_that_become_too_large_are_413(connect, reading):
    client = connect()
    client.send(request_bytes("POST", LOGIN, [CHUNKED]) + b"3e8\r\n" + b"x" * 1000 + b"\r\n")
    client.send(b"1\r\nx\r\n")

    answer = client.read_answer()
    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert reading.whole == []
    assert len(reading.taken) <= LIMITS.body_bytes


@IN_HASTE
@pytest.mark.parametrize("begun", [b"", b"username=a"])
def test_a_stalled_body_is_408(connect, reading, begun):
    client = connect()
    client.send(request_bytes("POST", LOGIN, [("Content-Length", "100")]) + begun)

    answer = client.read_answer()
    assert (answer.status, error_of(answer)["code"]) == (408, "upload_stalled")
    assert reading.whole == []


@IN_HASTE
def test_a_stalled_request_ends_its_connection_and_the_next_one_is_served(connect):
    stalled = connect()
    stalled.send(request_bytes("POST", LOGIN, [("Content-Length", "100")]))
    assert stalled.read_answer().headers["connection"] == "close"
    assert stalled.read_rest() == b""

    client = connect()
    client.send(request_bytes("GET", LOGIN))
    assert client.read_answer().status == 201


@pytest.mark.parametrize(
    ("request_sent", "limits"),
    [
        (request_bytes("GET", LOGIN), LIMITS),
        (request_bytes("POST", LOGIN, [("Content-Length", "1001")]), LIMITS),
        (request_bytes("POST", LOGIN, [("Content-Length", "5")]), HASTY),
    ],
    ids=["answered", "too large", "too slow"],
)
def test_every_answer_has_the_requests_id(connect, request_sent):
    client = connect()
    client.send(request_sent)

    answer = client.read_answer()
    assert [name.lower() for name, _ in answer.pairs].count("x-request-id") == 1
    assert str(UUID(answer.headers["x-request-id"])) == answer.headers["x-request-id"]


def test_the_id_that_a_client_gives_is_kept(connect):
    client = connect()
    client.send(request_bytes("GET", LOGIN, [("X-Request-Id", "of-the-client")]))

    assert client.read_answer().headers["x-request-id"] == "of-the-client"


def test_uploads_that_dawdle_take_no_place_from_others(server_thread, reading):
    url = server_thread.start(Bounded(reading, LIMITS), drain_seconds=0.05)
    port = urlsplit(url).port or 0
    with contextlib.ExitStack() as stack:
        for _ in range(2 * AT_ONCE):
            dawdler = stack.enter_context(RawClient("127.0.0.1", port))
            dawdler.send(request_bytes("POST", LOGIN, [("Content-Length", "100")]) + b"a")
        client = stack.enter_context(RawClient("127.0.0.1", port))
        client.send(request_bytes("GET", LOGIN))
        assert client.read_answer().status == 201
    server_thread.stop(url)


def test_more_uploads_at_a_time_than_are_taken_in_are_503(server_thread, reading):
    bounded = Bounded(reading, LIMITS)
    url = server_thread.start(bounded, drain_seconds=0.05)
    port = urlsplit(url).port or 0
    begun = request_bytes("POST", LOGIN, [("Content-Length", "100")]) + b"a"
    with contextlib.ExitStack() as stack:
        for _ in range(MOST_UPLOADING):
            stack.enter_context(RawClient("127.0.0.1", port)).send(begun)
        eventually(lambda: bounded._uploading == MOST_UPLOADING)
        client = stack.enter_context(RawClient("127.0.0.1", port))
        client.send(begun)
        answer = client.read_answer()
        assert (answer.status, error_of(answer)["code"]) == (503, "not_ready")
    server_thread.stop(url)


def test_nobody_waits_for_a_place_for_ever(server_thread):
    begun = 0

    async def stuck(scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        await asyncio.Event().wait()

    bounded = Bounded(stuck, LIMITS, most_waiting_seconds=0.2)
    url = server_thread.start(bounded, drain_seconds=0.05)
    port = urlsplit(url).port or 0
    with contextlib.ExitStack() as stack:
        for _ in range(AT_ONCE):
            stack.enter_context(RawClient("127.0.0.1", port)).send(request_bytes("GET", LOGIN))
        eventually(lambda: begun == AT_ONCE)
        client = stack.enter_context(RawClient("127.0.0.1", port))
        client.send(request_bytes("GET", LOGIN))
        answer = client.read_answer()
    assert (answer.status, error_of(answer)["code"]) == (503, "not_ready")
    server_thread.stop(url)


def test_a_client_that_leaves_within_its_body_never_reaches_the_application(connect, reading):
    client = connect()
    client.send(request_bytes("POST", LOGIN, [("Content-Length", "100")]) + b"a=b")
    client.half_close()

    assert json.loads(client.read_rest().partition(b"\r\n\r\n")[2])["error"]["code"] == (
        "bad_request"
    )
    assert (reading.whole, reading.taken, reading.disconnects) == ([], b"", 0)


def test_a_slow_answer_is_not_bounded(server_thread):
    """The limits are those of the body; nothing is left of them once it has been read."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await asyncio.sleep(2 * HASTY.upload_stall_seconds)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    url = server_thread.start(Bounded(app, HASTY), drain_seconds=0.05)
    with RawClient("127.0.0.1", urlsplit(url).port or 0) as client:
        client.send(request_bytes("GET", "/admin/"))
        assert client.read_answer().body == b"late"
    server_thread.stop(url)


@pytest.mark.parametrize(
    ("path", "accept", "content_type"),
    [
        ("/admin/", "text/html,*/*", "text/html; charset=utf-8"),
        ("/admin/", "*/*", "application/json"),
        ("/api/keys/", "text/html", "application/json"),
    ],
)
def test_a_person_who_sends_too_much_gets_a_page_and_a_program_json(
    server_thread, path, accept, content_type
):
    url = server_thread.start(Bounded(Reading(), LIMITS, refuse=pages.refuse), drain_seconds=0.05)
    with RawClient("127.0.0.1", urlsplit(url).port or 0) as client:
        client.send(request_bytes("POST", path, [("Accept", accept)], b"x" * 1001))
        refused = client.read_answer()
    server_thread.stop(url)

    assert refused.status == 413
    assert refused.headers["content-type"] == content_type
    assert b"1000 bytes at most" in refused.body
