"""The models there are, as Anthropic's clients list them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import anthropic
import pytest

from providers.snapshot import AliasEntry, TargetEntry
from tests.mounted import MASTER_KEY, MODEL, MountedGateway, provider
from tests.patience import PATIENCE_SECONDS

VERSION = [("anthropic-version", "2023-06-01")]


def card(id: str, **members: Any) -> dict[str, Any]:
    return {"id": id, "object": "model", "created": 1_700_000_000, **members}


def named(id: str) -> dict[str, str]:
    return {"id": id, "display_name": id}


@pytest.fixture
def many(gateway: MountedGateway, vllm: Any) -> list[str]:
    """What is listed of 45 models, none of which is pooled: aliases have their ids."""
    names = [f"org/m-{n:02}" for n in range(45)]
    gateway.publish(
        provider(vllm.url, models={name: card(name) for name in names}),
        aliases=[AliasEntry(name, ()) for name in names],
    )
    return [f"alpha/{name}" for name in names]


def sdk(gateway: MountedGateway) -> anthropic.Anthropic:
    """The official client, as it comes but for repeating. To be closed."""
    return anthropic.Anthropic(
        base_url=gateway.url, api_key=MASTER_KEY, max_retries=0, timeout=PATIENCE_SECONDS
    )


def test_anthropics_client_turns_all_pages(gateway, many):
    with sdk(gateway) as client:
        pages = list(client.models.list().iter_pages())
        back = list(client.models.list(before_id=many[-1], limit=10).iter_pages())

    assert [model.id for page in pages for model in page.data] == many
    assert [len(page.data) for page in pages] == [20, 20, 5]
    assert [model.id for page in reversed(back) for model in page.data] == many[:-1]


def test_anthropics_client_shows_one_by_any_selector(gateway, vllm):
    gateway.publish(provider(vllm.url, models={MODEL: card(MODEL, max_model_len=4096)}))

    with sdk(gateway) as client:
        shown = [client.models.retrieve(selector) for selector in (MODEL, f"alpha/{MODEL}")]
        with pytest.raises(anthropic.NotFoundError) as caught:
            client.models.retrieve("nope")

    assert shown[1] == shown[0].model_copy(update=named(f"alpha/{MODEL}"))
    assert (shown[0].id, shown[0].display_name) == (MODEL, MODEL)
    assert shown[0].created_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert (shown[0].max_input_tokens, shown[0].lifecycle) == (4096, "active")
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["error"]["type"] == "not_found_error"


def test_an_alias_is_listed_among_the_models(gateway, vllm):
    gateway.publish(
        provider(vllm.url, models={"m": card("m", max_model_len=4096)}),
        aliases=[
            AliasEntry("chat", ((TargetEntry("", "m"),),)),
            AliasEntry("dead", ((TargetEntry("", "x"),),)),
        ],
    )

    listed = gateway.call("GET", "/v1/models", headers=VERSION).json["data"]

    assert [model["id"] for model in listed] == ["chat", "m", "alpha/m"]
    assert listed == [listed[0] | named(id) for id in ("chat", "m", "alpha/m")]


@pytest.mark.parametrize(
    ("members", "created_at", "rest"),
    [
        ({"created": 0}, "1970-01-01T00:00:00Z", {}),
        ({"created": None}, "1970-01-01T00:00:00Z", {}),
        ({"created": -5}, "1970-01-01T00:00:00Z", {}),
        ({"created": True}, "1970-01-01T00:00:00Z", {}),
        ({"created": 1.5}, "1970-01-01T00:00:00Z", {}),
        ({"created": 10**30}, "9999-12-31T23:59:59Z", {}),
        ({"max_model_len": 8192}, "2023-11-14T22:13:20Z", {"max_input_tokens": 8192}),
        ({"max_model_len": None}, "2023-11-14T22:13:20Z", {}),
        ({"max_model_len": "8k"}, "2023-11-14T22:13:20Z", {}),
    ],
)
def test_a_card_is_reworded_whatever_the_server_said(gateway, vllm, members, created_at, rest):
    gateway.publish(provider(vllm.url, models={"m": card("m", **members)}))

    answer = gateway.call("GET", "/v1/models", headers=VERSION)

    model = {
        "type": "model",
        **named("m"),
        "created_at": created_at,
        "lifecycle": "active",
        **rest,
    }
    assert answer.json == {
        "data": [model, model | named("alpha/m")],
        "has_more": False,
        "first_id": "m",
        "last_id": "alpha/m",
    }
    assert gateway.call("GET", "/v1/models/m", headers=VERSION).json == model


@pytest.mark.parametrize(
    ("query", "expected", "has_more"),
    [
        ("", slice(0, 20), True),
        ("limit=1000", slice(0, 45), False),
        ("limit=2&after_id=alpha%2Forg%2Fm-02", slice(3, 5), True),
        ("limit=2&after_id=alpha/org/m-02-and-gone", slice(3, 5), True),
        ("limit=2&before_id=alpha/org/m-09", slice(7, 9), True),
        ("limit=2&before_id=alpha/org/m-02", slice(0, 2), False),
        ("limit=2&lifecycle[]=active", slice(0, 2), True),
        ("limit=2&lifecycle=retired&lifecycle=active", slice(0, 2), True),
    ],
)
def test_a_page_is_what_is_asked_for(gateway, many, query, expected, has_more):
    page = gateway.call("GET", f"/v1/models?{query}", headers=VERSION).json

    ids = many[expected]
    assert [model["id"] for model in page["data"]] == ids
    assert (page["first_id"], page["last_id"], page["has_more"]) == (ids[0], ids[-1], has_more)


@pytest.mark.parametrize("query", ["lifecycle[]=retired", "after_id=alpha/z", "before_id=a"])
def test_an_empty_page_has_no_cursors(gateway, many, query):
    page = gateway.call("GET", f"/v1/models?{query}", headers=VERSION)

    assert page.json == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=x", "limit"),
        ("after_id=", "after_id"),
        ("after=alpha/org/m-02", "after"),
        ("order=asc", "order"),
        ("lifecycle=new", "lifecycle"),
    ],
)
def test_a_bad_query_is_refused_as_anthropic_does(gateway, many, query, name):
    answer = gateway.call("GET", f"/v1/models?{query}", headers=VERSION)

    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert f"`{name}`" in answer.json["error"]["message"]
    assert answer.json["request_id"] == answer.headers["x-request-id"]


def test_others_get_openais_listing_whole_whatever_they_ask(gateway, many):
    answer = gateway.call("GET", "/v1/models?limit=1&after_id=z")

    assert answer.json["object"] == "list"
    assert len(answer.json["data"]) == len(many)


PAGES = {
    "": ["chat", "m", "n", "alpha/m", "alpha/n"],
    "after_id=chat&limit=2": ["m", "n"],
    "after_id=n": ["alpha/m", "alpha/n"],
    "after_id=mm": ["n", "alpha/m", "alpha/n"],
    "after_id=alpha/gone": ["alpha/m", "alpha/n"],
    "before_id=alpha/n&limit=2": ["n", "alpha/m"],
    "before_id=alpha/a": ["chat", "m", "n"],
}
"""Of a list in groups: aliases, pooled ids, those of one provider."""


@pytest.mark.parametrize(("query", "ids"), PAGES.items())
def test_pages_go_on_from_group_to_group(gateway, vllm, query, ids):
    gateway.publish(
        provider(vllm.url, models=["m", "n"]),
        aliases=[AliasEntry("chat", ((TargetEntry("", "m"),),))],
    )

    page = gateway.call("GET", f"/v1/models?{query}", headers=VERSION).json

    assert [model["id"] for model in page["data"]] == ids
