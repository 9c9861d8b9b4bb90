"""What the real process says to what is hardly HTTP, and what it writes while it works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.process.operators import Operator
from tests.process.running import Aurora
from tests.processes import eventually
from tests.raw_http import Answer, RawClient, request_bytes
from tests.scripted_vllm import ScriptedVllm

MASTER_KEY = "sk-of-the-log-0123456789"
PASSWORD = "the-password-of-the-operator"
VLLM_KEY = "token-of-the-server-0123456789"
NEW_VLLM_KEY = "another-token-of-the-server-0123456789"
GUESS = "sk-somebody-guessed-0123456789"
CHAT = "/v1/chat/completions"
MODEL = "vllm/meta-llama/Llama-3.1-8B-Instruct"
MIB = 2**20
FIELDS = {
    *("time", "level", "logger", "message", "request_id"),
    *("method", "path", "status", "provider", "model", "key", "ms", "ms_upstream", "bytes"),
    *("attempts", "client"),
}


def started(serve, vllm: ScriptedVllm) -> Aurora:
    vllm.required_key = VLLM_KEY
    aurora: Aurora = serve(
        AURORA_MASTER_KEY=MASTER_KEY,
        AURORA_ADMIN_PASSWORD=PASSWORD,
        AURORA_LOG_LEVEL="debug",
        VLLM_BASE_URL=vllm.url,
        VLLM_API_KEY=VLLM_KEY,
    )
    eventually(lambda: aurora.get("/ready").is_success)
    return aurora


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedVllm]:
    with ScriptedVllm() as server:
        yield server


@pytest.fixture(scope="module")
def aurora(serve_all, server: ScriptedVllm) -> Aurora:
    """One for the tests that only call."""
    return started(serve_all, server)


def answer_to(aurora: Aurora, request: bytes) -> Answer:
    with RawClient("127.0.0.1", aurora.port) as client:
        client.send(request)
        return client.read_answer()


def head(*extra: tuple[str, str], method: str = "POST", path: str = CHAT) -> bytes:
    return request_bytes(method, path, [("Authorization", f"Bearer {MASTER_KEY}"), *extra])


def test_what_is_hardly_http_is_refused_in_json_and_in_the_log(aurora: Aurora) -> None:
    too_long = answer_to(
        aurora, head(("Content-Length", str(40 * MIB)), ("X-Request-Id", "too-long"))
    )
    no_request = answer_to(aurora, b"THIS IS NO REQUEST\r\n\r\n")
    bad_header = answer_to(aurora, head(("bad header", "x")))

    assert (too_long.status, too_long.json["error"]["code"]) == (413, "body_too_large")
    assert aurora.call_line("too-long")["reason"].startswith("body_too_large: ")
    for refused in (no_request, bad_header):
        assert (refused.status, refused.headers["content-type"]) == (400, "application/json")
        assert refused.json["error"]["type"] == "invalid_request_error"
        said = refused.json["error"]["message"]
        eventually(lambda: said in "\n".join(aurora.output))  # noqa: B023 - at once
    assert aurora.chat(MASTER_KEY, MODEL).status_code == 200


def call(aurora: Aurora, request_id: str, key: str, model: str) -> dict[str, Any]:
    """The log line of a chat."""
    aurora.request(
        "POST",
        CHAT,
        key,
        json={"model": model, "messages": []},
        headers={"x-request-id": request_id},
    )
    return aurora.call_line(request_id)


def test_each_call_is_one_line_that_says_how_it_went(aurora: Aurora, server: ScriptedVllm) -> None:
    well = call(aurora, "well", MASTER_KEY, MODEL)
    stranger = call(aurora, "stranger", GUESS, MODEL)
    unknown = call(aurora, "unknown", MASTER_KEY, "vllm/no-such-model")
    server.will_refuse()
    refused = call(aurora, "refused", MASTER_KEY, MODEL)
    server.start()

    assert set(well) == FIELDS
    assert [set(line) - FIELDS for line in (stranger, unknown, refused)] == [{"reason"}] * 3
    assert (well["message"], well["method"], well["path"], well["status"]) == (
        *("call", "POST", CHAT, 200),
    )
    assert (well["provider"], well["model"], well["key"]) == ("vllm", server.models[0], "…6789")
    assert 0 < well["ms_upstream"] <= well["ms"]
    assert well["bytes"] > 0
    assert (well["attempts"], stranger["attempts"]) == (1, 0)
    assert (stranger["status"], stranger["key"], stranger["provider"]) == (401, "", "")
    assert unknown["status"] == 404
    assert (refused["status"], refused["provider"]) == (502, "vllm")


def test_no_secret_is_ever_written(serve, vllm: ScriptedVllm) -> None:
    aurora = started(serve, vllm)
    with Operator(aurora.url, PASSWORD) as operator:
        key, issued = operator.add_key("an application")
        eventually(lambda: aurora.chat(issued, MODEL).is_success)
        rotated = operator.rotate(key, 3600)
        operator.edit_provider(
            operator.id_of("vllm"), name="vllm", base_url=vllm.url, new_api_key=NEW_VLLM_KEY
        )
        eventually(lambda: aurora.chat(rotated, MODEL).status_code == 502)
        operator.revoke(key)
        session = operator.session
    vllm.will_refuse()
    assert aurora.chat(MASTER_KEY, MODEL).status_code == 502
    aurora.chat(GUESS, MODEL)
    aurora.get(f"/v1/models?api_key={GUESS}")
    answer_to(
        aurora, b"GET /%s NOTHTTP\r\nAuthorization: Bearer %s\r\n\r\n" % (2 * (GUESS.encode(),))
    )
    aurora.stop()

    assert len(aurora.lines) > 5
    assert len([line for line in aurora.lines if line["message"] == "call"]) > 5
    secrets = {MASTER_KEY, PASSWORD, VLLM_KEY, NEW_VLLM_KEY, GUESS, issued, rotated, session}
    assert [secret for secret in secrets if secret in aurora.written] == []
    assert [secret for secret in secrets if json.dumps(secret)[1:-1] in aurora.written] == []
