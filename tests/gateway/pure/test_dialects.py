"""How each dialect words a refusal, and ends a stream that breaks off."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import ErrorObject
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from gateway import dialects, errors
from gateway.dialects import Dialect
from gateway.refusals import Reworded
from gateway.sse import Parser

ALL = pytest.mark.parametrize("dialect", Dialect)
BAD = errors.InvalidRequest("`top_k` must be a number.", param="top_k")
OPENAIS = {
    "error": {
        "message": "`top_k` must be a number.",
        "type": "invalid_request_error",
        "param": "top_k",
        "code": "invalid_request",
    }
}
ANTHROPICS = {
    "type": "error",
    "error": {"type": "invalid_request_error", "message": "`top_k` must be a number."},
}


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        (Dialect.OPENAI, OPENAIS),
        (Dialect.RESPONSES, OPENAIS),
        (Dialect.ANTHROPIC, {**ANTHROPICS, "request_id": "call-1"}),
        (Dialect.COHERE, OPENAIS["error"]),
    ],
)
def test_a_refusal_is_worded_as_the_client_knows_it(dialect, expected):
    assert json.loads(dialects.body(BAD, dialect, "call-1")) == expected


@pytest.mark.parametrize(
    ("dialect", "name", "expected"),
    [
        (Dialect.OPENAI, b"", OPENAIS),
        (Dialect.COHERE, b"", OPENAIS),
        (Dialect.ANTHROPIC, b"error", ANTHROPICS),
        (
            Dialect.RESPONSES,
            b"error",
            {
                "type": "error",
                "sequence_number": 7,
                "code": "invalid_request",
                "message": "`top_k` must be a number.",
                "param": "top_k",
            },
        ),
    ],
)
def test_a_stream_ends_with_one_event_as_the_client_knows_it(dialect, name, expected):
    [event] = Parser().feed(dialects.event(BAD, dialect, 7))

    assert (event.name, json.loads(event.data)) == (name, expected)


def test_a_refusal_without_a_request_names_none():
    assert json.loads(dialects.body(BAD, Dialect.ANTHROPIC)) == {**ANTHROPICS, "request_id": None}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (405, "invalid_request_error"),
        (408, "invalid_request_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (422, "invalid_request_error"),
        (429, "rate_limit_error"),
        (499, "invalid_request_error"),
        (500, "api_error"),
        (501, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_anthropics_type_of_an_error_comes_of_its_status(status, kind):
    said = json.loads(dialects.body(Reworded(status, "words"), Dialect.ANTHROPIC))
    assert said["error"]["type"] == kind


def test_anthropics_types_are_those_that_its_client_knows():
    told = {*dialects.ANTHROPIC_TYPES.values(), "invalid_request_error", "api_error"}
    by_status_alone = "request_too_large"
    for kind in told - {by_status_alone}:
        error = {"type": kind, "message": "words"}
        read = TypeAdapter[Any](ErrorObject).validate_python(error, strict=True)
        assert read.type == kind


@ALL
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_message_survives_and_breaks_no_line(dialect, message):
    body = dialects.body(errors.InvalidRequest(message), dialect)
    [event] = Parser().feed(dialects.event(errors.InvalidRequest(message), dialect))

    assert not set(body) & set(b"\r\n")
    for said in (json.loads(body), json.loads(event.data)):
        assert said.get("message", said.get("error", {}).get("message")) == message


@pytest.mark.parametrize(
    ("by_route", "headers", "expected"),
    [
        (Dialect.OPENAI, [], Dialect.OPENAI),
        (Dialect.OPENAI, [(b"anthropic-version", b"2023-06-01")], Dialect.ANTHROPIC),
        (Dialect.RESPONSES, [(b"anthropic-version", b"")], Dialect.RESPONSES),
        (Dialect.ANTHROPIC, [], Dialect.ANTHROPIC),
        (Dialect.COHERE, [(b"anthropic-beta", b"x"), (b"x-api-key", b"y")], Dialect.COHERE),
    ],
)
def test_a_client_speaks_what_its_route_does_unless_it_says_that_it_is_anthropics(
    by_route, headers, expected
):
    assert dialects.spoken(by_route, headers) is expected
