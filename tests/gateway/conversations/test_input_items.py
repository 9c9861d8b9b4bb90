"""What a response was asked with: `GET /v1/responses/{id}/input_items`."""

from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseItemList

from tests.gateway.conversations.callers import OTHER_KEY, ROTATED_KEY, kept, sdk, texts
from tests.mounted import MountedGateway, error_of

PATH = "/v1/responses/resp_1/input_items"


def message(name: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": name}]
    return {"type": "message", "id": f"msg_{name}", "role": "user", "content": content}


@pytest.fixture(autouse=True)
def asked_with_five(gateway: MountedGateway) -> None:
    kept(gateway, "resp_0", message("before"))
    kept(gateway, "resp_1", *map(message, "abcde"), previous="resp_0")


def test_they_are_listed_newest_first_as_they_are_kept(gateway):
    answer = gateway.call("GET", PATH)

    assert answer.json == {
        "object": "list",
        "data": [message(name) for name in "edcba"],
        "first_id": "msg_e",
        "last_id": "msg_a",
        "has_more": False,
    }
    ResponseItemList.model_validate(answer.json)


@pytest.mark.parametrize(
    ("query", "expected", "has_more"),
    [
        ("limit=2", "ed", True),
        ("limit=5", "edcba", False),
        ("order=asc", "abcde", False),
        ("order=asc&limit=2&after=msg_b", "cd", True),
        ("limit=2&after=msg_c", "ba", False),
        ("limit=2&before=msg_a", "cb", True),
        ("order=asc&limit=2&before=msg_c", "ab", False),
        ("after=msg_e&before=msg_b", "dc", False),
        ("after=msg_a", "", False),
        ("include[]=message.input_image.image_url&include=new&api-version=1", "edcba", False),
    ],
)
def test_a_page_is_what_is_asked_for(gateway, query, expected, has_more):
    page = gateway.call("GET", f"{PATH}?{query}").json

    assert texts(page["data"]) == list(expected)
    assert page["has_more"] is has_more


def test_openais_client_turns_all_pages(gateway):
    with sdk(gateway) as client:
        items = list(client.responses.input_items.list("resp_1", limit=2, order="asc"))

    assert [item.id for item in items] == [f"msg_{name}" for name in "abcde"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=", "limit"),
        ("order=down", "order"),
        ("after=msg_before", "after"),
        ("before=nope", "before"),
        ("before=%00", "before"),
        ("after=", "after"),
        ("after=msg_a&after=msg_b", "after"),
    ],
)
def test_a_bad_query_is_refused_by_the_name_of_its_parameter(gateway, query, param):
    answer = gateway.call("GET", f"{PATH}?{query}")

    assert (answer.status, error_of(answer)["param"]) == (400, param)


def test_they_are_their_owners_alone(gateway):
    others = gateway.call("GET", PATH, key=OTHER_KEY)

    assert (others.status, error_of(others)["code"]) == (404, "response_not_found")
    assert gateway.call("GET", PATH, key=ROTATED_KEY).status == 200
    assert gateway.call("GET", PATH, key=None).status == 401


@pytest.mark.parametrize("id", ["resp_2", "%00", "x" * 600])
def test_a_response_that_is_not_there_has_none(gateway, id):
    answer = gateway.call("GET", f"/v1/responses/{id}/input_items")

    assert (answer.status, error_of(answer)["code"]) == (404, "response_not_found")
