"""The table of what Aurora serves, and how a path finds its row."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.endpoints import SERVED, TABLE, Action, Endpoint, among, at
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
        ("GET", "/v1/models//", Action.LIST_MODELS),
        ("POST", "/p/vllm/tokenize", Action.PASS_THROUGH),
        ("DELETE", "/p/vllm/adapters/x", Action.PASS_THROUGH),
        ("GET", "/p/x", Action.PASS_THROUGH),
        ("GET", "/health", Action.HEALTH),
        ("GET", "/ready", Action.READY),
        ("GET", "/ping", Action.HEALTH),
        ("POST", "/ping", Action.HEALTH),
        ("POST", "/invocations", Action.RELAY),
        ("GET", "/tokenizer_info", Action.SHOW_TOKENIZER),
    ],
)
def test_a_path_finds_its_row(method, path, action):
    assert among(at(path), method).action is action


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v1", "/v1/", "/p", "/p/", "/V1/models", "/v1/chat", "/healthz", "/pv/x", "v1/models",
     "/x/v1/models", "/v1/responses/a/b", "/v1/responses/{id}/x", "/v1/conversations/c/items/i/j"],
)  # fmt: skip
def test_what_is_not_served_is_an_unknown_path(path):
    with pytest.raises(UnknownPath):
        at(path)


def concrete(row: Endpoint) -> str:
    """A path that this row is for."""
    return row.path.replace(":path}", "}/y").replace("{", "<").replace("}", ">")


@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{min(row.methods)} {row.path}")
@pytest.mark.parametrize("method", METHODS)
def test_a_path_takes_the_methods_of_its_rows_and_names_them_to_any_other(row, method):
    rows = at(concrete(row))
    allowed = {allowed for row in rows for allowed in row.methods}
    assert row in rows
    if method in row.methods:
        assert among(rows, method) is row
    elif method not in allowed:
        with pytest.raises(WrongMethod) as caught:
            among(rows, method)
        assert caught.value.headers["allow"] == ", ".join(sorted(allowed))


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/v1/responses/resp_1", {"id": "resp_1"}),
        ("/v1/conversations/conv_1/items/msg_1", {"id": "conv_1", "item": "msg_1"}),
        ("/v1/models/gpu-1/meta-llama/X", {"id": "gpu-1/meta-llama/X"}),
        ("/v1/models", {}),
        ("/v1/models//", {}),
        ("//v1//models/", {}),
        ("/v1/models/ /", {"id": " "}),
        ("/v1/responses//", {}),
    ],
)
def test_a_row_says_what_stands_in_its_path(path, names):
    assert at(path)[0].names(path) == names


BRACES = re.compile(r"{(\w+)(?::path)?}")
PIECES = st.sampled_from(
    ["/", "v1", "models", "responses", "conversations", "p", "items", "a", "\n"]
)


@given(st.lists(PIECES, max_size=12).map("".join))
def test_every_name_of_a_row_is_found_in_the_path_that_led_to_it(path):
    with contextlib.suppress(UnknownPath):
        for row in at(path):
            assert row.names(path).keys() == set(BRACES.findall(row.path))


@given(st.text(max_size=30) | st.text("/v1pmodels", max_size=20))
def test_any_path_is_a_row_or_a_refusal(path):
    with contextlib.suppress(UnknownPath):
        assert set(at(path)) <= set(TABLE)


def test_an_unknown_path_is_repeated_in_part_only():
    with pytest.raises(UnknownPath) as caught:
        at("/" + "x" * 10_000)
    assert len(str(caught.value)) < 300


def test_every_action_has_its_view():
    assert set(VIEWS) == set(Action) == {row.action for row in TABLE}


UPSTREAM = {
    Action.RELAY, Action.RELAY_FORM, Action.RERANK, Action.EMBED, Action.MESSAGE,
    Action.COUNT_MESSAGE_TOKENS, Action.RESPOND, Action.COUNT_RESPONSE_TOKENS,
    Action.SHOW_TOKENIZER,
}  # fmt: skip


def test_what_goes_to_a_server_goes_to_a_path_of_it_and_nothing_else_does():
    assert {row.action for row in TABLE if row.upstream_paths} == UPSTREAM


def test_no_method_and_path_stand_in_the_table_twice():
    pairs = [(method, row.path) for row in TABLE for method in row.methods]
    assert len(set(pairs)) == len(pairs)


def test_how_each_row_is_served_is_said():
    assert set(SERVED) >= UPSTREAM
