"""The admin's paths in the real process: bounded like the calls, refused in the one shape."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest

from tests.mounted import error_of
from tests.process.running import Aurora
from tests.processes import eventually
from tests.raw_http import Answer, RawClient, request_bytes
from tests.scripted_vllm import ScriptedVllm

LOGIN = "/admin/login/"
BODY_BYTES = 4096
STALL_SECONDS = 1
PUBLIC_HOST = "aurora.example.com"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


@pytest.fixture(scope="module")
def aurora(serve_all, server: ScriptedVllm) -> Aurora:
    """One for all tests here that only ask."""
    started: Aurora = serve_all(
        AURORA_MAX_BODY_BYTES=str(BODY_BYTES),
        AURORA_UPLOAD_STALL_SECONDS=str(STALL_SECONDS),
        AURORA_DISCOVERY_SECONDS="1",
        VLLM_BASE_URL=server.url,
    )
    return started


def answer_to(aurora: Aurora, *sent: bytes) -> Answer:
    """All in one piece: no pause of this process's is taken for one that STALL_SECONDS forbids."""
    with RawClient("127.0.0.1", aurora.port) as client:
        client.send(b"".join(sent))
        return client.read_answer()


def test_a_login_with_a_body_over_the_limit_is_413_by_its_length(aurora: Aurora) -> None:
    refused = answer_to(
        aurora, request_bytes("POST", LOGIN, [("Content-Length", str(BODY_BYTES + 1))])
    )

    assert (refused.status, error_of(refused)["code"]) == (413, "body_too_large")


def test_a_login_with_a_body_over_the_limit_is_413_by_its_chunks(aurora: Aurora) -> None:
    refused = answer_to(
        aurora,
        request_bytes("POST", LOGIN, [("Transfer-Encoding", "chunked")]),
        b"%x\r\n%b\r\n" % (BODY_BYTES, b"x" * BODY_BYTES),
        b"1\r\nx\r\n",
    )

    assert (refused.status, error_of(refused)["code"]) == (413, "body_too_large")


def test_a_login_whose_body_stalls_is_408(aurora: Aurora) -> None:
    refused = answer_to(aurora, request_bytes("POST", LOGIN, [("Content-Length", "100")]) + b"a=b")

    assert (refused.status, error_of(refused)["code"]) == (408, "upload_stalled")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 302),
        (LOGIN, 200),
        ("/admin/nothing/", 302),
        ("/static/unfold/css/styles.css", 200),
        ("/static/nothing.css", 404),
    ],
)
def test_every_answer_of_djangos_has_the_requests_id(
    aurora: Aurora, path: str, status: int
) -> None:
    own = aurora.get(path)
    given = aurora.get(path, headers={"X-Request-Id": "of-the-client"})

    assert (own.status_code, given.status_code) == (status, status)
    assert str(UUID(own.headers["x-request-id"])) == own.headers["x-request-id"]
    assert given.headers.get_list("x-request-id") == ["of-the-client"]


def test_a_form_without_its_forgery_token_is_403_in_the_one_shape(aurora: Aurora) -> None:
    refused = answer_to(aurora, request_bytes("POST", LOGIN, body=b"username=admin&password=x"))

    error = error_of(refused)
    assert (refused.status, error["type"], error["code"]) == (
        *(403, "permission_error", "not_permitted"),
    )


def test_a_websocket_is_refused_in_the_one_shape_and_with_its_id_in_the_log(aurora: Aurora) -> None:
    upgrade = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ]
    refused = answer_to(aurora, request_bytes("GET", "/v1/realtime", upgrade))

    error = error_of(refused)
    assert (refused.status, error["code"]) == (401, "invalid_api_key")
    line = aurora.call_line(refused.headers["x-request-id"])
    assert (line["logger"], line["status"], line["path"]) == ("aurora.calls", 401, "/v1/realtime")
    assert line["reason"] == f"invalid_api_key: {error['message']}"


def test_a_host_of_nobodys_is_400_and_no_traceback(serve) -> None:
    aurora: Aurora = serve(AURORA_PUBLIC_URL=f"http://{PUBLIC_HOST}")
    allowed = answer_to(aurora, request_bytes("GET", LOGIN, [("Host", PUBLIC_HOST)]))
    refused = answer_to(aurora, request_bytes("GET", LOGIN, [("Host", "scanner.example")]))
    aurora.stop()

    assert allowed.status == 200
    assert (refused.status, error_of(refused)["type"]) == (400, "invalid_request_error")
    assert aurora.messages("error") == []
    assert "Traceback" not in aurora.written
    assert aurora.written.count("scanner.example") == 1


def test_a_server_that_answers_is_told_of_once(aurora: Aurora, server: ScriptedVllm) -> None:
    eventually(lambda: len(server.discoveries) >= 3)

    assert [text for text in aurora.messages() if "answers" in text] == [
        "provider vllm answers: 1 model."
    ]
