"""Callers without a key or a session can hold up neither the admin nor the management API."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from tests.mounted import error_of
from tests.process.operators import Operator
from tests.process.running import Aurora
from tests.raw_http import Answer, RawClient, request_bytes
from tests.scripted_vllm import ScriptedVllm

LOGIN = "/admin/login/"
STYLES = "/static/unfold/css/styles.css"
PASSWORD = "the-password-of-the-operator"
MASTER_KEY = "sk-of-the-keyless-callers-0123456789"
SLOW_UPLOADS = 200
NON_READERS = 24
SMALLEST_BUFFER_BYTES = 4096
STRANGERS_BODY_BYTES = 16 * 1024
NEVER = "600"


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


@pytest.fixture(scope="module")
def aurora(serve_all, server: ScriptedVllm) -> Aurora:
    """No slow client is ended for its slowness: what is seen is what it holds meanwhile."""
    started: Aurora = serve_all(
        AURORA_MASTER_KEY=MASTER_KEY,
        AURORA_ADMIN_PASSWORD=PASSWORD,
        AURORA_UPLOAD_STALL_SECONDS=NEVER,
        AURORA_CLIENT_STALL_SECONDS=NEVER,
        VLLM_BASE_URL=server.url,
    )
    return started


def answer_to_head(aurora: Aurora, *head: object) -> Answer:
    """What is said to a head whose body never comes."""
    with RawClient("127.0.0.1", aurora.port) as client:
        client.send(request_bytes(*head))  # type: ignore[arg-type]
        return client.read_answer()


def announcing(length: int, *more: tuple[str, str]) -> list[tuple[str, str]]:
    return [("Content-Length", str(length)), *more]


def manages(aurora: Aurora) -> None:
    """Somebody logs in, makes a key and revokes it; a program does the same."""
    with Operator(aurora.url, PASSWORD) as operator:
        key, _ = operator.add_key("of the operator")
        operator.revoke(key)
    made = aurora.post("/api/keys", MASTER_KEY, {"name": "of the program"})
    assert made.status_code == 201, made.text
    revoked = aurora.request("POST", f"/api/keys/{made.json()['id']}/revoke", MASTER_KEY)
    assert revoked.status_code == 200, revoked.text


def test_the_admin_and_the_api_are_there_while_200_logins_never_end(aurora: Aurora) -> None:
    begun = request_bytes("POST", LOGIN, announcing(100)) + b"username=a"
    with contextlib.ExitStack() as stack:
        for _ in range(SLOW_UPLOADS):
            stack.enter_context(RawClient("127.0.0.1", aurora.port)).send(begun)
        manages(aurora)


def test_the_admin_and_the_api_are_there_while_nobody_reads_static_files(aurora: Aurora) -> None:
    pipelined = request_bytes("GET", STYLES) * 20
    with contextlib.ExitStack() as stack:
        for _ in range(NON_READERS):
            client = RawClient("127.0.0.1", aurora.port, receive_buffer_bytes=SMALLEST_BUFFER_BYTES)
            stack.enter_context(client).send(pipelined)
        manages(aurora)


@pytest.mark.parametrize(
    "shown", [(), (("Authorization", "Bearer unknown"),), (("X-Api-Key", "unknown"),)]
)
def test_the_api_refuses_before_the_body_whoever_shows_no_good_key(aurora: Aurora, shown) -> None:
    refused = answer_to_head(aurora, "POST", "/api/keys", announcing(1000, *shown))

    assert (refused.status, error_of(refused)["code"]) == (401, "invalid_api_key")
    assert refused.headers["www-authenticate"] == 'Bearer realm="aurora"'


@pytest.mark.parametrize("path", [LOGIN, "/admin/providers/apikey/add/", "/"])
def test_without_a_session_a_body_over_16_kib_is_413_before_it_comes(aurora: Aurora, path) -> None:
    cookie = ("Cookie", "aurora_session_00000000=0123456789abcdefghijklmnopqrstuv")
    for shown in ((), (cookie,)):
        head = announcing(STRANGERS_BODY_BYTES + 1, *shown)
        refused = answer_to_head(aurora, "POST", path, head)
        assert (refused.status, error_of(refused)["code"]) == (413, "body_too_large")


def test_a_person_who_has_logged_in_may_send_a_large_form(aurora: Aurora) -> None:
    with Operator(aurora.url, PASSWORD) as operator:
        sent = operator._send(f"/admin/providers/apikey/{'0' * 8}/change/", name="x" * 100_000)
    assert sent.status_code != 413


def test_a_key_is_good_for_the_api_the_moment_it_is_made(aurora: Aurora) -> None:
    newest = aurora.post("/api/keys", MASTER_KEY, {"name": "the newest", "kind": "manager"})
    secret = newest.json()["secret"]
    made = aurora.post("/api/keys", secret, {"name": "made by the newest"})

    assert made.status_code == 201, made.text
