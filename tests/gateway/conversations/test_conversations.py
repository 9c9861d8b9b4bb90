"""Conversations: made, shown, changed and deleted, by the key that they belong to alone."""

from __future__ import annotations

import json
import time
from typing import Any

import openai
import pytest
from openai.types.conversations import Conversation, ConversationDeletedResource

from tests.gateway.conversations.callers import (
    CONVERSATIONS,
    OTHER_KEY,
    ROTATED_KEY,
    created,
    sdk,
    user,
)
from tests.gateway.state.stores import without_conversations
from tests.mounted import MountedGateway, error_of


def test_a_conversation_is_made_shown_changed_and_deleted_by_openais_client(gateway):
    with sdk(gateway) as client:
        made = client.conversations.create(metadata={"topic": "demo"}, items=[user("Hi")])  # type: ignore[list-item]
        shown = client.conversations.retrieve(made.id)
        changed = client.conversations.update(made.id, metadata={"mood": "good"})
        deleted = client.conversations.delete(made.id)
        with pytest.raises(openai.NotFoundError) as caught:
            client.conversations.retrieve(made.id)

    assert made == shown
    assert made.metadata == {"topic": "demo"}
    assert abs(made.created_at - time.time()) < 60
    assert changed.metadata == {"mood": "good"}
    assert (changed.id, changed.created_at) == (made.id, made.created_at)
    assert (deleted.id, deleted.deleted) == (made.id, True)
    assert caught.value.code == "conversation_not_found"


def test_each_answer_has_exactly_the_members_of_its_type(gateway):
    made = gateway.post(CONVERSATIONS, {"metadata": {"a": "b"}})
    path = f"{CONVERSATIONS}/{made.json['id']}"
    shown = gateway.call("GET", path)
    deleted = gateway.call("DELETE", path)

    assert made.headers["content-type"] == "application/json"
    assert made.json == {
        "id": made.json["id"],
        "object": "conversation",
        "created_at": made.json["created_at"],
        "metadata": {"a": "b"},
    }
    assert shown.json == made.json
    Conversation.model_validate(made.json, strict=True)
    ConversationDeletedResource.model_validate(deleted.json, strict=True)
    assert deleted.json == {
        "id": made.json["id"],
        "object": "conversation.deleted",
        "deleted": True,
    }


@pytest.mark.parametrize("body", [b"", b"{}", b'{"metadata":null,"items":null}', b'{"items":[]}'])
def test_a_conversation_may_begin_with_nothing(gateway, body):
    answer = gateway.call("POST", CONVERSATIONS, body)

    assert (answer.status, answer.json["metadata"]) == (200, {})
    items = gateway.call("GET", f"{CONVERSATIONS}/{answer.json['id']}/items")
    assert items.json == {
        "object": "list", "data": [], "first_id": "", "last_id": "", "has_more": False,
    }  # fmt: skip


def test_metadata_is_replaced_as_a_whole(gateway):
    path = created(gateway)

    gateway.post(path, {"metadata": {"a": "1", "b": "2"}})
    gateway.post(path, {"metadata": {"c": "\u00e9\u0000\"'\u2028"}})
    changed = gateway.call("GET", path).json["metadata"]
    emptied = gateway.post(path, {"metadata": None})

    assert changed == {"c": "\u00e9\u0000\"'\u2028"}
    assert emptied.json["metadata"] == {}


def test_head_tells_that_a_conversation_is_there(gateway):
    path = created(gateway)

    assert gateway.call("HEAD", path).status == 200
    assert gateway.call("HEAD", f"{CONVERSATIONS}/conv_nope").status == 404


# Whose it is

CALLS = [
    ("GET", "", None),
    ("POST", "", {"metadata": {"taken": "over"}}),
    ("DELETE", "", None),
    ("GET", "/items", None),
    ("POST", "/items", {"items": [user("Let me in")]}),
    ("GET", "/items/msg_1", None),
    ("DELETE", "/items/msg_1", None),
]


def called(gateway: MountedGateway, method: str, path: str, value: Any, key: str) -> Any:
    body = json.dumps(value).encode() if value is not None else b""
    return gateway.call(method, path, body, key=key)


@pytest.mark.parametrize(("method", "below", "value"), CALLS)
def test_to_another_key_a_conversation_is_not_there(gateway, method, below, value):
    path = created(gateway, user("Mine", id="msg_1"))

    others = called(gateway, method, path + below, value, OTHER_KEY)
    nobodys = called(gateway, method, f"{CONVERSATIONS}/conv_{'0' * 32}{below}", value, OTHER_KEY)

    assert (others.status, error_of(others)["code"]) == (404, "conversation_not_found")
    assert nobodys.status == 404
    alike = {name: value for name, value in error_of(nobodys).items() if name != "message"}
    assert alike == {name: value for name, value in error_of(others).items() if name != "message"}
    assert gateway.call("GET", path).json["metadata"] == {}
    assert len(gateway.call("GET", f"{path}/items").json["data"]) == 1


@pytest.mark.parametrize(("method", "below", "value"), CALLS)
def test_a_key_that_it_was_rotated_into_goes_on_with_it(gateway, method, below, value):
    path = created(gateway, user("Mine", id="msg_1"))

    assert called(gateway, method, path + below, value, ROTATED_KEY).status == 200


@pytest.mark.parametrize(("method", "below", "value"), CALLS)
def test_nobody_gets_in_without_a_key(gateway, method, below, value):
    path = created(gateway, user("Mine", id="msg_1"))

    assert called(gateway, method, path + below, value, "nope").status == 401


@pytest.mark.parametrize("id", ["nope", "%00", "conv_%ff", "%F0%9F%98%80", "x" * 600, "%27%22;--"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_id_that_none_can_have_is_not_there(gateway, id, method):
    answer = gateway.call(method, f"{CONVERSATIONS}/{id}")

    assert (answer.status, error_of(answer)["code"]) == (404, "conversation_not_found")


# What cannot be


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"metadata": []}, "metadata"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {"a": None}}, "metadata.a"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"metadata": {"a" * 65: ""}}, "metadata"),
        ({"metadata": {"a": "b" * 513}}, "metadata"),
        ({"items": "Hello"}, "items"),
        ({"items": [user("Hi")] * 21}, "items"),
        ({"items": [user("Hi"), 7]}, "items[1]"),
        ({"name": "x"}, "name"),
    ],
)
def test_what_a_conversation_cannot_be_made_of_is_refused_by_its_name(gateway, value, param):
    answer = gateway.post(CONVERSATIONS, value)

    assert answer.status == 400
    assert error_of(answer)["param"] == param


@pytest.mark.parametrize(
    ("value", "param"),
    [({}, "metadata"), ({"metadata": {"a": 1}}, "metadata.a"), ({"metadata": {}, "x": 1}, "x")],
)
def test_a_bad_change_leaves_a_conversation_as_it_is(gateway, value, param):
    path = created(gateway)
    gateway.post(path, {"metadata": {"a": "1"}})

    answer = gateway.post(path, value)

    assert (answer.status, error_of(answer)["param"]) == (400, param)
    assert gateway.call("GET", path).json["metadata"] == {"a": "1"}


def test_the_most_that_may_be_is_taken(gateway):
    metadata = {f"{n:02}".ljust(64, "n"): "v" * 512 for n in range(16)}
    answer = gateway.post(CONVERSATIONS, {"metadata": metadata, "items": [user("Hi")] * 20})

    assert answer.json["metadata"] == metadata
    path = f"{CONVERSATIONS}/{answer.json['id']}/items?limit=100"
    assert len(gateway.call("GET", path).json["data"]) == 20


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", "invalid_json"),
        (b"{", "invalid_json"),
        (b'{"metadata":{"a":"\xff"}}', "invalid_request"),
    ],
)
def test_what_is_no_json_is_refused(gateway, body, code):
    answer = gateway.call("POST", CONVERSATIONS, body)

    assert (answer.status, error_of(answer)["code"]) == (400, code)


def test_a_text_that_was_cut_within_an_emoji_is_kept_with_a_sign_for_the_half(gateway):
    body = b'{"items":[{"role":"user","content":"cut \\ud83d"}]}'

    made = gateway.call("POST", CONVERSATIONS, body)

    items = gateway.call("GET", f"{CONVERSATIONS}/{made.json['id']}/items").json["data"]
    assert items[0]["content"][0]["text"] == "cut \ufffd"


def test_a_method_that_a_conversation_does_not_have_is_refused(gateway):
    answer = gateway.call("PUT", f"{CONVERSATIONS}/conv_1")

    assert answer.status == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD, POST"


def test_where_nothing_is_kept_no_conversation_is_made_or_there(server_thread, vllm, limits):
    gateway = MountedGateway(server_thread, limits)
    gateway.publish()
    try:
        made = gateway.post(CONVERSATIONS, {})
        shown = gateway.call("GET", f"{CONVERSATIONS}/conv_1")
    finally:
        gateway.close()

    assert (made.status, error_of(made)["code"]) == (400, "not_stored")
    assert (shown.status, error_of(shown)["code"]) == (404, "conversation_not_found")


def test_a_database_that_fails_is_said_to_and_nothing_else_is(gateway):
    path = created(gateway)
    with without_conversations():
        answer = gateway.call("GET", path)

    assert (answer.status, error_of(answer)["code"]) == (503, "state_unavailable")
    assert answer.headers["retry-after"] == "1"
    assert b"gateway_" not in answer.body
