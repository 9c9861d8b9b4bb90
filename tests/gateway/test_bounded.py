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

from aurora_site import content_policy, pages
from gateway.admission.outbox import MOST_ANSWER_BYTES, Deliveries
from gateway.admission.visits import Visit, Visitor
from gateway.bounded import AT_ONCE, AT_ONCE_URGENT, MOST_UPLOADING, STRANGERS_BODY_BYTES, Bounded
from gateway.client import Limits, Request
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
STRANGERS = AT_ONCE[Visitor.STRANGER]


class Reading:
    """An application that reads every body to its end, and keeps what it was given."""

    def __init__(self) -> None:
        self.taken = b""
        self.whole: list[bytes] = []
        self.disconnects = 0
        self.headers: list[tuple[bytes, bytes]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        more, self.headers = True, scope["headers"]
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
        for _ in range(2 * STRANGERS):
            dawdler = stack.enter_context(RawClient("127.0.0.1", port))
            dawdler.send(request_bytes("POST", LOGIN, [("Content-Length", "100")]) + b"a")
        client = stack.enter_context(RawClient("127.0.0.1", port))
        client.send(request_bytes("GET", LOGIN))
        assert client.read_answer().status == 201
    server_thread.stop(url)


def test_more_uploads_at_a_time_than_are_taken_in_end_the_oldest(server_thread, reading):
    bounded = Bounded(reading, LIMITS)
    url = server_thread.start(bounded, drain_seconds=0.05)
    port = urlsplit(url).port or 0
    begun = request_bytes("POST", LOGIN, [("Content-Length", "100")]) + b"a"
    uploads = bounded._uploads[Visitor.STRANGER]
    with contextlib.ExitStack() as stack:
        oldest = stack.enter_context(RawClient("127.0.0.1", port))
        oldest.send(begun)
        eventually(lambda: uploads.held == 1)
        for _ in range(MOST_UPLOADING - 1):
            stack.enter_context(RawClient("127.0.0.1", port)).send(begun)
        eventually(lambda: uploads.held == MOST_UPLOADING)
        client = stack.enter_context(RawClient("127.0.0.1", port))
        client.send(begun)
        client.send(b"a" * 99)
        assert client.read_answer().status == 201
        answer = oldest.read_answer()
        assert (answer.status, error_of(answer)["code"]) == (503, "not_ready")
    server_thread.stop(url)


@pytest.mark.parametrize(
    ("header", "status"),
    [
        (("Cookie", 'a="' + "\\1" * 25_000 + '"'), 201),
        (("Content-Type", 'a; b="' + ";" * 50_000), 431),
        (("Accept", "a" * 50_000), 431),
    ],
)
def test_headers_that_take_django_seconds_never_reach_it(connect, reading, header, status):
    client = connect()
    client.send(request_bytes("GET", LOGIN, [header]))

    answer = client.read_answer()
    assert answer.status == status
    if status == 431:
        assert error_of(answer)["code"] == "head_too_large"
    assert [value for name, value in reading.headers if len(value) > 100] == []


def test_a_form_of_percent_signs_never_reaches_django(server_thread):
    reading = Reading()
    bounded = Bounded(reading, replace(LIMITS, body_bytes=2**21), identify=Directed())
    url = server_thread.start(bounded, drain_seconds=0.05)
    media_type = [("Content-Type", "application/x-www-form-urlencoded")]
    with RawClient("127.0.0.1", urlsplit(url).port or 0) as client:
        client.send(request_bytes("POST", "/session/a", media_type, b"%" * 2**20))
        answer = client.read_answer()
    server_thread.stop(url)

    assert (answer.status, error_of(answer)["code"]) == (413, "body_too_large")
    assert reading.whole == []


class Directed:
    """Says of each request what its path says: /<visitor>/<owner>, or /urgent/<owner>."""

    async def __call__(self, request: Request) -> Visit:
        _, kind, owner = request.path.split("/")
        if kind == "urgent":
            return Visit(Visitor.KEY, owner, is_urgent=True)
        return Visit(Visitor(kind), owner)


class Stuck:
    """An application that answers below /…/free, and nothing else."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.append(scope["path"])
        if not scope["path"].endswith("/free"):
            await asyncio.Event().wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"free"})


def asking(stack: contextlib.ExitStack, url: str, path: str) -> RawClient:
    client = stack.enter_context(RawClient("127.0.0.1", urlsplit(url).port or 0))
    client.send(request_bytes("GET", path))
    return client


def test_visitors_of_each_kind_have_places_of_their_own(server_thread):
    stuck = Stuck()
    url = server_thread.start(Bounded(stuck, LIMITS, identify=Directed()), drain_seconds=0.05)
    with contextlib.ExitStack() as stack:
        for number in range(3 * STRANGERS):
            asking(stack, url, f"/stranger/{number}")
        eventually(lambda: len(stuck.begun) == STRANGERS)
        assert asking(stack, url, "/session/free").read_answer().body == b"free"
        for number in range(2 * AT_ONCE[Visitor.SESSION]):
            asking(stack, url, f"/session/{number}")
        eventually(lambda: len(stuck.begun) == STRANGERS + 1 + AT_ONCE[Visitor.SESSION])
        assert asking(stack, url, "/key/free").read_answer().body == b"free"
        for number in range(2 * AT_ONCE[Visitor.KEY]):
            asking(stack, url, f"/key/{number}")
        eventually(lambda: stuck.begun.count("/key/0") == 1)
        assert asking(stack, url, "/urgent/free").read_answer().body == b"free"
        for number in range(AT_ONCE_URGENT):
            asking(stack, url, f"/urgent/{number}")
    server_thread.stop(url)


def test_readers_of_nothing_hold_no_place(server_thread):
    """Each has an answer that its connection cannot take at once, and asks for more behind it."""
    begun = 0

    async def large(scope: Any, receive: Any, send: Any) -> None:
        nonlocal begun
        begun += 1
        body = bytes(MOST_ANSWER_BYTES - 1) if scope["path"] == "/large" else b"small"
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    url = server_thread.start(Bounded(large, LIMITS), drain_seconds=0.05)
    with contextlib.ExitStack() as stack:
        for _ in range(4 * STRANGERS):
            client = stack.enter_context(RawClient("127.0.0.1", urlsplit(url).port or 0))
            client.send(request_bytes("GET", "/large") * 20)
        eventually(lambda: begun >= 4 * STRANGERS)
        assert asking(stack, url, "/small").read_answer().body == b"small"
    server_thread.stop(url)


def test_of_answers_that_nobody_reads_one_is_cut_when_others_need_the_memory(server_thread, caplog):
    """The system takes some of them, and Aurora keeps the rest of one for each connection."""

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(MOST_ANSWER_BYTES - 1)})

    bounded = Bounded(large, LIMITS)
    bounded._deliveries[Visitor.STRANGER] = Deliveries(most_bytes=3 * MOST_ANSWER_BYTES)
    url = server_thread.start(bounded, drain_seconds=0.05)
    port = urlsplit(url).port or 0
    with contextlib.ExitStack() as stack, caplog.at_level("INFO", "aurora.server"):
        for _ in range(4):
            client = RawClient("127.0.0.1", port, receive_buffer_bytes=4096)
            stack.enter_context(client).send(request_bytes("GET", "/large") * 20)
        eventually(lambda: [each for each in caplog.records if "Broke off" in each.message])
        assert bounded._deliveries[Visitor.STRANGER]._holding.held <= 3 * MOST_ANSWER_BYTES
        eventually(lambda: len(server_thread.servers[url].connections_open) == 3)
    server_thread.stop(url)


def test_a_stranger_may_send_what_a_login_needs_and_a_person_who_has_logged_in_more(server_thread):
    reading, most = Reading(), replace(LIMITS, body_bytes=2**20)
    bounded = Bounded(reading, most, identify=Directed(), refuse=pages.refuse)
    url = server_thread.start(bounded, drain_seconds=0.05)
    body = b"x" * (STRANGERS_BODY_BYTES + 1)
    with contextlib.ExitStack() as stack:
        port = urlsplit(url).port or 0
        answers = []
        for path, sent in (
            ("/stranger/a", body[1:]),
            ("/stranger/a", body),
            ("/session/a", body),
            ("/key/a", body),
        ):
            client = stack.enter_context(RawClient("127.0.0.1", port))
            client.send(request_bytes("POST", path, body=sent))
            answers.append(client.read_answer())
    server_thread.stop(url)

    assert [answer.status for answer in answers] == [201, 413, 201, 201]
    assert "logged in" in error_of(answers[1])["message"]


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
        for _ in range(STRANGERS):
            stack.enter_context(RawClient("127.0.0.1", port)).send(request_bytes("GET", LOGIN))
        eventually(lambda: begun == STRANGERS)
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
    is_page = content_type.startswith("text/html")
    policy = refused.headers.get("content-security-policy")
    assert policy == (content_policy.REFUSAL if is_page else None)
    assert ("x-content-type-options" in refused.headers) >= is_page
