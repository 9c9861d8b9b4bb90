"""The table of what Aurora serves, and how a path finds its row."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.endpoints import TABLE, Action, find
from gateway.errors import UnknownPath, WrongMethod
from gateway.views import VIEWS

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")


@pytest.mark.parametrize(
    ("method", "path", "action"),
    [
        ("POST", "/v1/chat/completions", Action.RELAY),
        ("POST", "/v1/completions", Action.RELAY),
        ("POST", "/v1/embeddings", Action.RELAY),
        ("GET", "/v1/models", Action.LIST_MODELS),
        ("HEAD", "/v1/models", Action.LIST_MODELS),
        ("GET", "/v1/models/x", Action.SHOW_MODEL),
        ("GET", "/v1/models/vllm/meta-llama/X", Action.SHOW_MODEL),
        ("GET", "/v1/models//", Action.SHOW_MODEL),
        ("POST", "/p/vllm/tokenize", Action.PASS_THROUGH),
        ("DELETE", "/p/vllm/adapters/x", Action.PASS_THROUGH),
        ("GET", "/p/x", Action.PASS_THROUGH),
        ("GET", "/health", Action.HEALTH),
        ("GET", "/ready", Action.READY),
    ],
)
def test_a_path_finds_its_row(method, path, action):
    row = find(path)
    row.check(method)
    assert row.action is action


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v1", "/v1/", "/v1/models/", "/p", "/p/", "/v1/chat/completions/", "/V1/models",
     "/v1/chat", "/health/", "/healthz", "/pv/x", "v1/models", "/v1/responses", "/x/v1/models"],
)  # fmt: skip
def test_what_is_not_served_is_an_unknown_path(path):
    with pytest.raises(UnknownPath):
        find(path)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.path)
@pytest.mark.parametrize("method", METHODS)
def test_a_row_takes_its_methods_and_names_them_to_any_other(row, method):
    path = row.prefix + "x/y" if "{" in row.path else row.path
    found = find(path)
    assert found is row
    if method in row.methods:
        found.check(method)
        return
    with pytest.raises(WrongMethod) as caught:
        found.check(method)
    assert caught.value.headers["allow"] == ", ".join(sorted(row.methods))


@given(st.text(max_size=30) | st.text("/v1pmodels", max_size=20))
def test_any_path_is_a_row_or_a_refusal(path):
    with contextlib.suppress(UnknownPath):
        assert find(path) in TABLE


def test_an_unknown_path_is_repeated_in_part_only():
    with pytest.raises(UnknownPath) as caught:
        find("/" + "x" * 10_000)
    assert len(str(caught.value)) < 300


def test_every_action_has_its_view():
    assert set(VIEWS) == set(Action) == {row.action for row in TABLE}


def test_what_is_relayed_goes_to_a_path_of_the_server():
    for row in TABLE:
        assert (row.action is Action.RELAY) == bool(row.upstream_path)


def test_no_path_stands_in_the_table_twice():
    assert len({row.path for row in TABLE}) == len(TABLE)
