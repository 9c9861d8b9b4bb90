"""What a server says of its routes at /openapi.json: read with suspicion."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers import openapi
from providers.openapi import post_paths

MODELS: dict[str, Any] = {"/v1/models": {"get": {}}}


def spec(*posts: str, **more: Any) -> bytes:
    return json.dumps(
        {"paths": {**MODELS, **{path: {"post": {}} for path in posts}, **more}}
    ).encode()


def test_the_paths_that_take_a_post_are_told_in_order():
    said = spec("/v1/responses", "/tokenize", **{"/v1/responses/{response_id}": {"get": {}}})
    assert post_paths(said) == ["/tokenize", "/v1/responses"]


def test_a_path_counts_for_each_of_its_methods_and_as_the_spec_writes_it():
    both: dict[str, Any] = {
        "/ping": {"get": {}, "post": {}},
        "/v1/responses/{response_id}/cancel": {"post": {}},
    }
    assert post_paths(spec(**both)) == ["/ping", "/v1/responses/{response_id}/cancel"]


def test_what_a_real_spec_says_beside_the_methods_is_not_in_the_way():
    operation = {"summary": "Ö", "responses": {"200": {"content": {"a/b": {"schema": {}}}}}}
    item = {"parameters": [{"name": "x", "in": "query"}], "summary": "x", "post": operation}
    said = {"openapi": "3.1.0", "info": None, "paths": {**MODELS, "/a": item}, "components": [1]}
    assert post_paths(json.dumps(said).encode()) == ["/a"]


def test_a_server_without_a_post_has_said_so():
    assert post_paths(spec()) == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff",
        b"null",
        b"[]",
        b"{}",
        b'{"paths":null}',
        b'{"paths":[]}',
        b'{"paths":{}}',
        b'{"paths":{"/v1/models":null}}',
        b'{"paths":{"/v1/models":{"post":{}}}}',
        b'{"paths":{"/v1/models":{"get":{}},"/a":"post"}}',
        b'{"paths":{"/v1/models":{"get":{}}}',
        b'{"paths":{"/v1/models":{"get":' + b"[" * 100_000,
        b'{"openapi":"3.1.0","paths":{"/users":{"post":{}}}}',
    ],
)
def test_what_is_no_spec_of_a_server_of_models_says_nothing(body):
    assert post_paths(body) is None


@pytest.mark.parametrize(
    "hostile",
    ["", "a", "v1/responses", "/a\nb", "/a\0", "/\x1b[2J", "/a\u202eb", "/\ud800", "/" + "x" * 200],
)
def test_a_path_that_no_page_or_log_could_show_is_left_out(hostile):
    found = post_paths(spec("/good", hostile))
    assert found in (["/good"], None)
    assert found is not None or "\ud800" in hostile  # no JSON at all, for the decoder


@pytest.mark.parametrize("good", ["/", "/a b", "/ü", "/<b>", "/" + "x" * 199])
def test_any_other_path_is_kept(good):
    assert post_paths(spec(good)) == [good]


def test_a_part_of_too_many_routes_is_never_taken_for_the_whole():
    paths = [f"/{number}" for number in range(openapi.MOST_ROUTES)]
    assert len(post_paths(spec(*paths)) or ()) == openapi.MOST_ROUTES
    assert post_paths(spec(*paths, "/one-more")) is None


@given(st.binary(max_size=50) | st.text(max_size=50).map(lambda path: spec(f"/{path}")))
def test_no_answer_raises_and_what_is_told_can_be_kept(body):
    for path in post_paths(body) or ():
        assert path.startswith("/")
        assert path.isprintable()
