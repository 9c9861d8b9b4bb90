"""A server's error is relayed as it worded it, or put into the one shape."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import errors, refusals
from gateway.errors import GatewayError
from tests.recorded import load, names

WORDED = {"error": {"message": "No.", "type": "BadRequestError", "param": None, "code": 400}}
DENIED = {"error": {"message": "No.", "type": "PermissionDeniedError", "param": None, "code": 403}}
ANTHROPIC = {"type": "error", "error": {"type": "NotFoundError", "message": "No."}}
ERRORS_RECORDED = [name for name in names() if load(name).status >= 400]


def reworded(status: int, body: Any, model: str = "m", path: str = "/v1/x") -> GatewayError | None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return refusals.reworded(status, raw, provider="gpu-1", model=model, path=path)


@pytest.mark.parametrize(
    ("status", "body"),
    [(400, WORDED), (404, WORDED), (429, WORDED), (500, WORDED), (503, WORDED), (403, DENIED),
     (404, ANTHROPIC), (422, {"error": {"message": ""}})],
)  # fmt: skip
def test_what_the_server_worded_itself_stays(status, body):
    assert reworded(status, body) is None


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(
    "body", [{"error": "Unauthorized"}, b"", b"<html>", WORDED, {"detail": "Forbidden"}, []]
)
def test_a_refused_key_is_auroras_fault_and_not_the_callers(status, body):
    error = reworded(status, body)
    assert isinstance(error, errors.UpstreamRefusedKey)
    assert (error.status, error.code) == (502, "upstream_auth")
    assert "gpu-1" in str(error)


def test_a_401_is_never_the_callers_even_if_it_looks_like_a_permission():
    assert isinstance(reworded(401, DENIED), errors.UpstreamRefusedKey)


@pytest.mark.parametrize("status", [300, 301, 302, 304, 307, 308])
def test_a_redirect_is_not_followed_but_told(status):
    error = reworded(status, b"")
    assert error is not None
    assert (error.status, error.code) == (502, "upstream_error")
    assert str(status) in str(error)


def test_a_route_that_the_model_has_not_is_explained():
    error = reworded(404, {"detail": "Not Found"}, model="llama", path="/v1/embeddings")
    assert isinstance(error, errors.UnsupportedEndpoint)
    assert (error.status, error.param) == (400, "model")
    assert all(part in str(error) for part in ("llama", "/v1/embeddings", "gpu-1"))


def test_a_route_that_the_server_has_not_is_a_404_where_no_model_was_named():
    error = reworded(404, {"detail": "Not Found"}, model="", path="/pooling")
    assert error is not None
    assert (error.status, error.code) == (404, "upstream_404")
    assert "/pooling" in str(error)


@pytest.mark.parametrize(
    ("status", "body", "type_", "message"),
    [
        (405, {"detail": "Method Not Allowed"}, "invalid_request_error", "Method Not Allowed"),
        (400, {"error": "Bad"}, "invalid_request_error", "Bad"),
        (503, b"", "provider_error", "The provider 'gpu-1' answered HTTP 503."),
        (500, b"Internal Server Error", "provider_error", "The provider 'gpu-1' answered HTTP 500."),
        (502, b"<html>", "provider_error", "The provider 'gpu-1' answered HTTP 502."),
        (429, b"\xff\xfe", "invalid_request_error", "The provider 'gpu-1' answered HTTP 429."),
        (400, b'{"error":"\xff"}', "invalid_request_error", "The provider 'gpu-1' answered HTTP 400."),
        (404, {"detail": "Other"}, "invalid_request_error", "Other"),
        (422, {"detail": [{"loc": []}]}, "invalid_request_error", "The provider 'gpu-1' answered HTTP 422."),
        (400, {"error": {"message": 1}}, "invalid_request_error", "The provider 'gpu-1' answered HTTP 400."),
        (400, {"error": None, "detail": "D"}, "invalid_request_error", "D"),
        (400, [], "invalid_request_error", "The provider 'gpu-1' answered HTTP 400."),
    ],
)  # fmt: skip
def test_a_bare_shape_keeps_status_and_words_in_the_one_shape(status, body, type_, message):
    error = reworded(status, body)
    assert error is not None
    assert (error.status, error.type, error.code) == (status, type_, f"upstream_{status}")
    assert str(error) == message


@given(st.integers(300, 599), st.binary(max_size=60))
def test_no_answer_raises(status, body):
    error = reworded(status, body)
    assert error is None or errors.shape(error)


@pytest.mark.parametrize("open_", [b"[", b'{"error":'])
def test_an_answer_nested_100_000_deep_is_only_a_status(open_):
    error = reworded(500, open_ * 100_000)
    assert error is not None
    assert error.status == 500


def test_an_endless_message_is_cut():
    error = reworded(400, {"error": "x" * 100_000})
    assert len(str(error)) == refusals.MOST_MESSAGE_CHARACTERS


@pytest.mark.parametrize("name", ERRORS_RECORDED)
def test_every_recorded_error_is_relayed_or_put_into_the_one_shape(name):
    recording = load(name)
    error = reworded(recording.status, recording.body, path=recording.path)
    if error is None:
        assert isinstance(recording.json["error"]["message"], str)
    elif recording.status in {401, 403}:
        assert error.status == 502
    else:
        assert error.status in {recording.status, 400}
        assert "message" in json.loads(errors.shape(error))["error"]


# Whether another server may be asked

DEAD = "EngineCore encountered an issue. See stack trace (above) for the root cause."
GONE = {"error": {"message": "The model `a/b` does not exist.", "type": "NotFoundError"}}


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        (429, WORDED, refusals.BUSY),
        (502, b"<html>", refusals.FAILING),
        (503, {"detail": "Service Unavailable"}, refusals.FAILING),
        (504, b"", refusals.FAILING),
        (500, {"error": {"message": DEAD, "type": "InternalServerError"}}, refusals.FAILING),
        (404, GONE, refusals.MISCONFIGURED),
        (404, {"type": "error", **GONE}, refusals.MISCONFIGURED),
        (500, WORDED, ""),
        (400, {"error": {"message": DEAD}}, ""),
        (400, GONE, ""),
        (404, WORDED, ""),
        (404, {"detail": "Not Found"}, ""),
        (404, {"error": {"message": "Why: The model `a` does not exist."}}, ""),
        (404, {"error": "The model `a` does not exist."}, ""),
        (401, {"error": "Unauthorized"}, ""),
        (408, b"", ""),
        (413, b"", ""),
        (501, b"", ""),
        (302, b"", ""),
    ],
)
def test_another_server_is_asked_only_where_the_answer_says_nothing_of_the_call(status, body, why):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert refusals.why_another(status, raw) == why


@given(st.integers(300, 599), st.binary(max_size=60))
def test_no_body_makes_that_question_raise(status, body):
    assert isinstance(refusals.why_another(status, body), str)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [(b"2", 2.0), (b"0", 0.0), (b"999999", 999_999.0), (b"1000000", None), (b"1.5", None),
     (b"-1", None), (b"", None), (b"Wed, 21 Oct 2026 07:28:00 GMT", None), (b"\xb2", None)],
)  # fmt: skip
def test_a_server_asks_to_be_left_alone_in_whole_seconds(said, seconds):
    refused = refusals.Refused(refusals.BUSY, 429, [(b"retry-after", said)], b"")
    assert refused.retry_after_seconds == seconds


def test_one_that_does_not_ask_is_not_waited_for():
    refused = refusals.Refused(refusals.BUSY, 429, [], PRIVATE)
    assert refused.retry_after_seconds is None
    assert "private" not in f"{refused} {refused!r}"


PRIVATE = b"a private sentence"


@pytest.mark.parametrize(
    ("said", "aborted"),
    [
        ({"choices": [{"finish_reason": "abort"}]}, True),
        ({"choices": [{"finish_reason": "stop"}]}, False),
        ({"choices": [{"text": '"finish_reason": "abort"', "finish_reason": "stop"}]}, False),
        ({}, False),
    ],
)
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_an_answer_that_a_stopping_server_cut_short_is_known(said, aborted, separators):
    assert refusals.was_aborted(json.dumps(said, separators=separators).encode()) is aborted
