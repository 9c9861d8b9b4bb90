"""Items of a conversation: added as OpenAI keeps them, listed by pages, shown and deleted."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from openai.types.conversations import ConversationItemList

from tests.gateway.conversations.callers import (
    CONVERSATIONS,
    OTHER_KEY,
    created,
    kept,
    sdk,
    texts,
    user,
)
from tests.mounted import error_of

CALL = {
    "type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}",
    "status": "completed",
}  # fmt: skip
SAID = {"type": "output_text", "text": "Hello", "annotations": []}
REASONING = {
    "type": "reasoning", "id": "rs_1", "summary": [],
    "content": [{"type": "reasoning_text", "text": "Hm"}],
}  # fmt: skip
SEARCH = {"type": "search", "query": "x", "queries": ["x"]}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}


def test_items_are_added_listed_shown_and_deleted_by_openais_client(gateway):
    with sdk(gateway) as client:
        id = client.conversations.create().id
        added = client.conversations.items.create(
            id,
            items=[{"role": "user", "content": "One"}, {"role": "user", "content": "Two"}],
            include=["reasoning.encrypted_content"],
        )
        listed = list(client.conversations.items.list(id, order="asc"))
        shown = client.conversations.items.retrieve(added.data[0].id or "", conversation_id=id)
        left = client.conversations.items.delete(shown.id or "", conversation_id=id)
        rest = list(client.conversations.items.list(id))
        with pytest.raises(openai.NotFoundError) as caught:
            client.conversations.items.retrieve(shown.id or "", conversation_id=id)

    assert added.data == listed
    assert shown == listed[0]
    assert shown.type == "message"
    assert (shown.role, shown.status, shown.content[0].type) == ("user", "completed", "input_text")
    assert (left.id, left.object) == (id, "conversation")
    assert rest == listed[1:]
    assert caught.value.code == "item_not_found"


def test_openais_client_turns_all_pages(gateway):
    path = created(gateway)
    for tens in range(0, 45, 15):
        gateway.post(f"{path}/items", {"items": [user(str(tens + n)) for n in range(15)]})

    with sdk(gateway) as client:
        id = path.rpartition("/")[2]
        pages = list(client.conversations.items.list(id).iter_pages())
        rising = list(client.conversations.items.list(id, order="asc", limit=7))

    assert [len(page.data) for page in pages] == [20, 20, 5]
    numbers = [item.content[0].text for page in pages for item in page.data]  # type: ignore[union-attr, index]
    assert numbers == [str(n) for n in reversed(range(45))]
    assert [item.id for item in rising] == [item.id for p in pages for item in p.data][::-1]


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            user("Hello"),
            {"type": "message", "role": "user", "status": "completed",
             "content": [{"type": "input_text", "text": "Hello"}]},
        ),
        (
            {"role": "assistant", "content": "Hello"},
            {"type": "message", "role": "assistant", "status": "completed", "content": [SAID]},
        ),
        (
            {"type": "message", "role": "developer", "content": [IMAGE], "status": "incomplete"},
            {"type": "message", "role": "developer", "content": [IMAGE], "status": "incomplete"},
        ),
        ({**CALL, "status": None}, CALL),
        (
            {"type": "function_call_output", "call_id": "call_1", "output": "7"},
            {"type": "function_call_output", "call_id": "call_1", "output": "7",
             "status": "completed"},
        ),
        (REASONING, REASONING),
        (
            {"type": "custom_tool_call", "call_id": "call_2", "name": "g", "input": "x"},
            {"type": "custom_tool_call", "call_id": "call_2", "name": "g", "input": "x",
             "status": "completed"},
        ),
        (
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": SEARCH},
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": SEARCH},
        ),
        (
            user("Hello", id="msg_own"),
            {"type": "message", "id": "msg_own", "role": "user", "status": "completed",
             "content": [{"type": "input_text", "text": "Hello"}]},
        ),
    ],
)  # fmt: skip
def test_each_kind_of_item_is_kept_as_openai_keeps_it(gateway, item, expected):
    path = created(gateway)

    added = gateway.post(f"{path}/items", {"items": [item]}).json
    [one] = added["data"]

    assert one == {"id": one["id"], **expected}
    assert added == {
        "object": "list", "data": [one], "first_id": one["id"], "last_id": one["id"],
        "has_more": False,
    }  # fmt: skip
    assert gateway.call("GET", f"{path}/items").json == added
    assert gateway.call("GET", f"{path}/items/{one['id']}").json == one
    ConversationItemList.model_validate(added)


def test_an_item_of_a_type_yet_unknown_is_kept_as_it_is(gateway):
    item = {"type": "yet_unknown", "id": "x_1", "value": [1]}
    path = created(gateway, item)

    assert gateway.call("GET", f"{path}/items").json["data"] == [item]


def test_items_stay_in_the_order_in_which_they_came(gateway):
    path = created(gateway, user("a"), user("b"))
    gateway.post(f"{path}/items", {"items": [user("c"), user("d")]})

    falling = gateway.call("GET", f"{path}/items?limit=3").json
    rising = gateway.call("GET", f"{path}/items?order=asc").json

    assert texts(falling["data"]) == ["d", "c", "b"]
    assert falling["has_more"] is True
    assert (falling["first_id"], falling["last_id"]) == (
        falling["data"][0]["id"],
        falling["data"][2]["id"],
    )
    assert texts(rising["data"]) == ["a", "b", "c", "d"]
    assert rising["has_more"] is False


def test_an_item_that_is_there_already_is_not_added_again(gateway):
    path = created(gateway, user("a", id="msg_1"))

    again = gateway.post(f"{path}/items", {"items": [user("a", id="msg_1"), user("b")]})
    other = gateway.post(f"{path}/items", {"items": [user("c"), user("d", id="msg_1")]})

    assert again.status == 200
    assert (other.status, error_of(other)["param"]) == (400, "items[1].id")
    listed = gateway.call("GET", f"{path}/items?order=asc").json["data"]
    assert texts(listed) == ["a", "b"]


def test_an_item_belongs_to_its_own_conversation(gateway):
    path, other = created(gateway, user("a", id="msg_1")), created(gateway)

    shown = gateway.call("GET", f"{other}/items/msg_1")
    deleted = gateway.call("DELETE", f"{other}/items/msg_1")

    assert [shown.status, deleted.status] == [404, 404]
    assert {error_of(shown)["code"], error_of(deleted)["code"]} == {"item_not_found"}
    assert gateway.call("GET", f"{path}/items/msg_1").status == 200


# References


def test_a_reference_is_replaced_by_what_it_refers_to(gateway):
    created(gateway, user("Of another conversation", id="msg_1"))
    kept(gateway, "resp_1", {"type": "message", "id": "msg_2", **user("Of a response")})

    path = created(gateway, {"type": "item_reference", "id": "msg_1"}, {"id": "msg_2"})
    items = gateway.call("GET", f"{path}/items?order=asc").json["data"]

    assert [item["id"] for item in items] == ["msg_1", "msg_2"]
    assert [item["type"] for item in items] == ["message", "message"]


@pytest.mark.parametrize("key", [OTHER_KEY, None])
def test_a_reference_to_nothing_of_its_owner_is_refused(gateway, key):
    if key:
        created(gateway, user("Another's", id="msg_1"), key=key)

    answer = gateway.post(CONVERSATIONS, {"items": [user("Hi"), {"id": "msg_1"}]})

    assert answer.status == 404
    assert (error_of(answer)["code"], error_of(answer)["param"]) == (
        "item_not_found",
        "items[1].id",
    )


# What cannot be


@pytest.mark.parametrize(
    ("item", "param"),
    [
        (None, ""),
        ("Hello", ""),
        ([], ""),
        ({}, ".type"),
        ({"type": 7}, ".type"),
        ({"type": ["message"]}, ".type"),
        ({"type": "message", "content": "x"}, ".role"),
        (user("x", role="nobody"), ".role"),
        ({"role": "user"}, ".content"),
        ({"role": "user", "content": 7}, ".content"),
        ({"role": "user", "content": ["x"]}, ".content[0]"),
        ({"role": "user", "content": [{"text": "x"}]}, ".content[0].type"),
        ({**CALL, "arguments": {}}, ".arguments"),
        ({**CALL, "name": None}, ".name"),
        ({"type": "function_call_output", "output": "x"}, ".call_id"),
        ({"type": "function_call_output", "call_id": "x"}, ".output"),
        ({**REASONING, "content": "Hm"}, ".content"),
        ({"type": "custom_tool_call", "call_id": "x", "name": "g"}, ".input"),
        ({"type": "item_reference"}, ".id"),
        ({"type": "item_reference", "id": ""}, ".id"),
        (user("x", id=7), ".id"),
        (user("x", id="a/b"), ".id"),
        (user("x", id="a\nb"), ".id"),
        (user("x", id="x" * 513), ".id"),
    ],
)
def test_what_is_no_item_is_refused_by_its_place_and_nothing_is_added(gateway, item, param):
    path = created(gateway)

    answer = gateway.post(f"{path}/items", {"items": [user("Hi"), item]})

    assert (answer.status, error_of(answer)["param"]) == (400, f"items[1]{param}")
    assert gateway.call("GET", f"{path}/items").json["data"] == []


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({}, "items"),
        ({"items": {}}, "items"),
        ({"items": [user("Hi")] * 21}, "items"),
        ({"items": [], "metadata": {}}, "metadata"),
    ],
)
def test_only_items_can_be_added(gateway, value: Any, param):
    answer = gateway.post(f"{created(gateway)}/items", value)

    assert (answer.status, error_of(answer)["param"]) == (400, param)


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("order=up", "order"),
        ("after=", "after"),
        ("after=nope", "after"),
        ("after=%00", "after"),
        ("before=msg_1", "before"),
    ],
)
def test_a_bad_query_is_refused_by_the_name_of_its_parameter(gateway, query, param):
    answer = gateway.call("GET", f"{created(gateway, user('Hi', id='msg_1'))}/items?{query}")

    assert (answer.status, error_of(answer)["param"]) == (400, param)


@pytest.mark.parametrize("id", ["nope", "%00", "x" * 600])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_item_that_is_not_there_is_404(gateway, id, method):
    answer = gateway.call(method, f"{created(gateway, user('Hi'))}/items/{id}")

    assert (answer.status, error_of(answer)["code"]) == (404, "item_not_found")
