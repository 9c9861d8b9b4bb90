"""Every error on Anthropic's routes is in Anthropic's shape, whoever words it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.gateway.messages.anthropic import COUNT, MESSAGES, WAYS, chat_only, error_of, message
from tests.mounted import MODEL, NO_HURRY, provider
from tests.recorded import load

VERSION = [("anthropic-version", "2023-06-01")]
BOTH = pytest.mark.parametrize("path", [MESSAGES, COUNT])


@BOTH
@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_missing_or_wrong_key(gateway, path, key):
    answer = gateway.call("POST", path, message(), key=key)

    assert (answer.status, error_of(answer)["type"]) == (401, "authentication_error")


@BOTH
@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "invalid_request_error"),
        (b"[]", 400, "invalid_request_error"),
        (message(model="nope"), 404, "not_found_error"),
        (message(model=3), 400, "invalid_request_error"),
    ],
)
def test_a_body_that_cannot_be_used(gateway, path, body, status, kind):
    answer = gateway.call("POST", path, body)

    assert (answer.status, error_of(answer)["type"]) == (status, kind)


@BOTH
def test_a_wrong_method(gateway, path):
    answer = gateway.call("GET", path)

    assert (answer.status, error_of(answer)["type"]) == (405, "invalid_request_error")
    assert answer.headers["allow"] == "POST"


@pytest.mark.parametrize("limits", [replace(NO_HURRY, body_bytes=100)])
def test_a_body_that_is_too_large(gateway):
    answer = gateway.call("POST", MESSAGES, message(system="x" * 200))

    assert (answer.status, error_of(answer)["type"]) == (413, "request_too_large")


@pytest.mark.parametrize("target", ["/v1/nothing", "/v1/models/nope", "/p/nobody/v1/messages"])
def test_a_client_that_says_its_version_hears_its_dialect_everywhere(gateway, target):
    method = "POST" if target.startswith("/p/") else "GET"
    answer = gateway.call(method, target, headers=VERSION)

    assert (answer.status, error_of(answer)["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("name", "status", "kind"),
    [
        ("full_messages_unknown_model", 404, "not_found_error"),
        ("full_messages_missing_messages", 400, "invalid_request_error"),
        ("full_messages_bad_json", 400, "invalid_request_error"),
        ("full_messages_too_long", 400, "invalid_request_error"),
        ("full_messages_no_max_tokens", 400, "invalid_request_error"),
        ("gen_err_too_long", 400, "invalid_request_error"),
        ("auth_auth_nokey_chat", 502, "api_error"),
    ],
)
@WAYS
def test_vllms_errors_keep_their_words_and_get_anthropics_types(
    gateway, vllm, *, ways, name, status, kind
):
    if ways == "translated":
        gateway.publish(chat_only(vllm))
    recording = load(name)
    vllm.will_replay(recording)

    answer = gateway.call("POST", MESSAGES, message())

    error = error_of(answer)
    assert (answer.status, error["type"]) == (status, kind)
    if status < 500:
        assert error["message"] == recording.json["error"]["message"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(403, "api_error"), (422, "invalid_request_error"), (429, "rate_limit_error"),
     (500, "api_error"), (503, "overloaded_error"), (504, "timeout_error")],
)  # fmt: skip
@WAYS
def test_an_error_of_any_status_has_its_type(gateway, vllm, ways, status, kind):
    if ways == "translated":
        gateway.publish(chat_only(vllm))
    vllm.will_answer(status, [("retry-after", "7")], b"<html>no</html>")

    answer = gateway.call("POST", MESSAGES, message())

    assert answer.status == (502 if status == 403 else status)
    assert error_of(answer)["type"] == kind
    assert answer.headers["retry-after"] == "7"


@WAYS
def test_a_server_that_cannot_be_reached(gateway, vllm, ways):
    gateway.publish(chat_only(vllm) if ways == "translated" else provider(vllm.url))
    vllm.will_refuse()

    answer = gateway.call("POST", MESSAGES, message(model=MODEL))

    assert (answer.status, error_of(answer)["type"]) == (502, "api_error")
