"""Going on from a response or a conversation, on whichever server; and to whom each belongs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.gateway.responses.conftest import server
from tests.gateway.responses.making import (
    NATIVE,
    OTHER_KEY,
    RESPONSES,
    TRANSLATED,
    create,
    events_of,
    sent_texts,
    show,
    streamed_by,
    will_say,
)
from tests.mounted import MASTER_KEY, MODEL, error_of, key_of
from tests.scripted_vllm import ScriptedVllm

NEW_KEY = "aurora-rotated-secret-of-these-tests"


def test_a_response_continues_another(stateful, vllm, way):
    will_say(vllm, way, "Hi!", "resp_1")
    first = stateful.post(RESPONSES, create("Hello")).json
    will_say(vllm, way, "Fine.", "resp_2")

    second = stateful.post(RESPONSES, create("How are you?", previous_response_id=first["id"])).json

    assert second["previous_response_id"] == first["id"]
    assert sent_texts(vllm, way) == [
        ("user", "Hello"),
        ("assistant", "Hi!"),
        ("user", "How are you?"),
    ]
    sent = vllm.received[-1].json
    assert not sent.keys() & {"previous_response_id", "conversation", "background"}
    assert show(stateful, second["id"]).json == second
    will_say(vllm, way, "Bye.", "resp_3")
    stateful.post(RESPONSES, create("Bye", previous_response_id=second["id"]))
    said = [text for _, text in sent_texts(vllm, way)]
    assert said == ["Hello", "Hi!", "How are you?", "Fine.", "Bye"]


def test_a_streamed_response_continues_another(stateful, vllm, way):
    vllm.will_stream(*streamed_by(way, "Hi", "!"))
    first = events_of(stateful.post(RESPONSES, create("Hello", stream=True)).body)[-1]["response"]
    vllm.will_stream(*streamed_by(way, "Fine."))

    answer = stateful.post(RESPONSES, create("And?", stream=True, previous_response_id=first["id"]))

    holding = [event["response"] for event in events_of(answer.body) if "response" in event]
    assert {said["previous_response_id"] for said in holding} == {first["id"]}
    assert sent_texts(vllm, way) == [("user", "Hello"), ("assistant", "Hi!"), ("user", "And?")]


@pytest.mark.parametrize(("first_way", "second_way"), [(NATIVE, TRANSLATED), (TRANSLATED, NATIVE)])
def test_a_chain_goes_on_at_another_server(mount, vllm, first_way, second_way):
    with ScriptedVllm() as other:
        gateway = mount(
            server(vllm, first_way), server(other, second_way, "beta", models=["other"])
        )
        will_say(vllm, first_way, "Hi!")
        first = gateway.post(RESPONSES, create("Hello")).json["id"]
        will_say(other, second_way, "Fine.", "resp_2")
        asked = create("And?", previous_response_id=first) | {"model": "beta/other"}

        assert gateway.post(RESPONSES, asked).json["previous_response_id"] == first
        assert sent_texts(other, second_way) == [
            ("user", "Hello"),
            ("assistant", "Hi!"),
            ("user", "And?"),
        ]


def test_a_missing_route_is_found_out_with_the_context_in_hand(native, vllm):
    """Its server does not say what it has: the first 404 tells, and the call goes on as a chat."""
    will_say(vllm, NATIVE, "Hi!")
    first = native.post(RESPONSES, create("Hello")).json["id"]
    vllm.will_answer_json(404, {"detail": "Not Found"})
    will_say(vllm, TRANSLATED, "Fine.")

    second = native.post(RESPONSES, create("And?", previous_response_id=first)).json

    assert second["previous_response_id"] == first
    assert [seen.path for seen in vllm.received] == [RESPONSES, RESPONSES, "/v1/chat/completions"]
    assert len(sent_texts(vllm, TRANSLATED)) == 3


def test_instructions_are_not_carried_over(stateful, vllm, way):
    will_say(vllm, way, "Arr!")
    first = stateful.post(RESPONSES, create("Hello", instructions="Be a pirate.")).json["id"]
    will_say(vllm, way, "Fine.", "resp_2")

    stateful.post(RESPONSES, create("And?", previous_response_id=first))

    assert [text for _, text in sent_texts(vllm, way)] == ["Hello", "Arr!", "And?"]
    assert "instructions" not in vllm.received[-1].json


def test_a_conversation_grows_with_each_response(stateful, vllm, way):
    conversation = stateful.post("/v1/conversations", {}).json["id"]
    will_say(vllm, way, "Hi!", "resp_1")
    first = stateful.post(RESPONSES, create("Hello", conversation=conversation)).json
    will_say(vllm, way, "Fine.", "resp_2")

    stateful.post(RESPONSES, create("And?", conversation={"id": conversation}))

    assert first["conversation"] == {"id": conversation}
    assert [text for _, text in sent_texts(vllm, way)] == ["Hello", "Hi!", "And?"]
    items = stateful.call("GET", f"/v1/conversations/{conversation}/items?order=asc").json["data"]
    assert [item["role"] for item in items] == ["user", "assistant", "user", "assistant"]


def test_an_item_is_referred_to(stateful, vllm, way):
    will_say(vllm, way, "Hi!", "resp_1")
    said = stateful.post(RESPONSES, create("Hello")).json["output"][0]
    will_say(vllm, way, "Fine.", "resp_2")
    again = [{"type": "item_reference", "id": said["id"]}, {"role": "user", "content": "Why?"}]

    second = stateful.post(RESPONSES, create(again)).json

    assert sent_texts(vllm, way) == [("assistant", "Hi!"), ("user", "Why?")]
    kept = stateful.call("GET", f"{RESPONSES}/{second['id']}/input_items?order=asc").json["data"]
    assert kept[0]["content"][0]["text"] == "Hi!"


@pytest.mark.parametrize(
    ("members", "status", "param"),
    [
        ({"previous_response_id": "resp_unknown"}, 404, "previous_response_id"),
        ({"conversation": "conv_unknown"}, 404, "conversation"),
        ({"input": [{"type": "item_reference", "id": "msg_unknown"}]}, 404, "input[0].id"),
        ({"previous_response_id": "a", "conversation": "b"}, 400, "previous_response_id"),
        ({"background": True, "store": False}, 400, "background"),
        ({"previous_response_id": 7}, 400, "previous_response_id"),
    ],
)
def test_what_is_not_there_reaches_no_server(stateful, vllm, members, status, param):
    refused = stateful.post(RESPONSES, create() | members)

    assert (refused.status, error_of(refused)["param"]) == (status, param)
    assert vllm.received == []


def test_another_key_finds_nothing(native, vllm):
    id = native.post(RESPONSES, create()).json["id"]

    for refused in (
        show(native, id, key=OTHER_KEY),
        native.call("DELETE", f"{RESPONSES}/{id}", key=OTHER_KEY),
        native.call("POST", f"{RESPONSES}/{id}/cancel", key=OTHER_KEY),
        native.call("GET", f"{RESPONSES}/{id}/input_items", key=OTHER_KEY),
        native.post(RESPONSES, create(previous_response_id=id), key=OTHER_KEY),
    ):
        assert (refused.status, error_of(refused)["code"]) == (404, "response_not_found")
    assert len(vllm.received) == 1
    assert show(native, id).status == 200


def test_a_key_that_was_rotated_into_still_owns_it(native, vllm, keys):
    id = native.post(RESPONSES, create()).json["id"]
    rotated = replace(key_of(NEW_KEY), owner=keys[MASTER_KEY].owner)
    native.publish(server(vllm), keys={NEW_KEY: rotated})

    assert show(native, id, key=NEW_KEY).json["id"] == id
    assert show(native, id).status == 401


@pytest.mark.parametrize("name", ["previous_response_id", "conversation", "background"])
def test_where_nothing_is_kept_a_state_cannot_be_used(gateway, vllm, name):
    refused = gateway.post(RESPONSES, create(**{name: True if name == "background" else "id"}))

    assert refused.status == 400
    assert (error_of(refused)["code"], error_of(refused)["param"]) == ("not_stored", name)
    assert vllm.received == []


def test_where_nothing_is_kept_calls_go_on(gateway):
    assert gateway.post(RESPONSES, create(store=True)).status == 200
    assert gateway.post(RESPONSES, create(stream=True)).status == 200


def test_a_model_of_another_kind_is_told_which_routes_it_has(mount, vllm):
    gateway = mount(server(vllm, routes=frozenset({"/v1/embeddings"}), models=[MODEL]))

    refused = gateway.post(RESPONSES, create())

    assert (refused.status, error_of(refused)["code"]) == (400, "unsupported_endpoint")
    assert "/v1/embeddings" in error_of(refused)["message"]
